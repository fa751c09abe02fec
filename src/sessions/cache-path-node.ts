import { homedir } from 'node:os';
import * as paths from 'node:path';

/** What the default folder depends on. */
export interface CachePlace {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
  readonly home: string;
}

/**
 * Where caches of documents lie: `$KVANT_CACHE_DIR`, or else the system's folder for caches. `$XDG_CACHE_HOME` counts where it is absolute
 * (XDG Base Directory Specification 0.8), and so does `%LOCALAPPDATA%`.
 */
export function defaultCachePath({
  env = process.env,
  platform = process.platform,
  home = homedir(),
}: Partial<CachePlace> = {}): string {
  const own = env['KVANT_CACHE_DIR'];
  if (own) return own;
  const system = platform === 'win32' ? paths.win32 : paths.posix;
  const absolute = (name: string): string | undefined => {
    const path = env[name];
    return path && system.isAbsolute(path) ? path : undefined;
  };
  if (platform === 'win32')
    return system.join(absolute('LOCALAPPDATA') ?? system.join(home, 'AppData', 'Local'), 'kvant', 'cache');
  const xdg = absolute('XDG_CACHE_HOME');
  if (xdg !== undefined) return system.join(xdg, 'kvant');
  return platform === 'darwin' ? system.join(home, 'Library', 'Caches', 'kvant') : system.join(home, '.cache', 'kvant');
}
