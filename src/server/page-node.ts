import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';

/** The page runs its own scripts and calls its own server: nothing else. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Headers of every answer; pages of other origins can neither read nor frame them. */
export function addSecurityHeaders(app: FastifyInstance): void {
  app.addHook('onSend', async (_, reply) => {
    void reply.headers({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'x-frame-options': 'DENY',
      'cross-origin-opener-policy': 'same-origin',
    });
    if (!reply.hasHeader('cache-control')) void reply.header('cache-control', 'no-store');
    if (!reply.hasHeader('content-security-policy')) {
      void reply.header('content-security-policy', "default-src 'none'; frame-ancestors 'none'");
    }
  });
}

/** Serves the built page at `/`. It holds nothing of anybody, so that it needs no key: it asks for one where the server has any. */
export async function addPage(app: FastifyInstance, folder: string): Promise<void> {
  await app.register(async (page) => {
    page.addHook('onRoute', (route) => {
      route.config = { ...route.config, isPublic: true };
    });
    await page.register(fastifyStatic, {
      root: folder,
      // Known files only, each a route of its own: no path of a request becomes a path of the disk.
      wildcard: false,
      cacheControl: false,
      setHeaders: (response, path) => {
        void response.header('content-security-policy', CONTENT_SECURITY_POLICY);
        // Vite names assets by what they hold.
        const isHashed = path.includes('/assets/');
        void response.header('cache-control', isHashed ? 'public, max-age=31536000, immutable' : 'no-cache');
      },
    });
  });
}
