import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ApiError } from './api-error.ts';
import { ONLY_TENANT, Tenants, type Tenant } from './tenants-node.ts';

declare module 'fastify' {
  interface FastifyRequest {
    tenant: Tenant;
  }
  interface FastifyContextConfig {
    /** Whether the route needs no key: it tells nothing of anybody. */
    isPublic?: boolean;
    /** Whether the key of metrics opens it, too. */
    isOperation?: boolean;
  }
}

export interface AccessOptions {
  readonly apiKeys: readonly string[];
  readonly metricsKey?: string | undefined;
  /** Origins of pages that may call from a browser. */
  readonly corsOrigins: readonly string[];
}

/** Lets in who has a key. Where there are no keys, which is only on the machine itself, lets in what no foreign page has sent. */
export function addAccess(app: FastifyInstance, { apiKeys, metricsKey, corsOrigins }: AccessOptions): void {
  const tenants = new Tenants(apiKeys, apiKeys.length > 0 ? metricsKey : undefined);
  app.decorateRequest('tenant');
  app.addHook('onRequest', async (request) => {
    request.tenant = ONLY_TENANT;
    if (tenants.size === 0) checkLocal(request, corsOrigins);
    else if (request.routeOptions.config.isPublic !== true) request.tenant = tenantOf(request, tenants);
  });
}

/** @throws ApiError 401, and 403 for a key that does not open the route */
function tenantOf({ headers, routeOptions }: FastifyRequest, tenants: Tenants): Tenant {
  const key = keyOf(headers);
  const tenant = key === undefined ? undefined : tenants.find(key);
  if (tenant && (tenant.mayUseModel || routeOptions.config.isOperation)) return tenant;
  if (tenant) {
    throw new ApiError(403, 'this key opens /metrics and /health/ready only', { code: 'metrics_key_only' });
  }
  const what = key === undefined ? 'no API key was sent' : 'the API key is wrong';
  const message = `${what}: send one as "Authorization: Bearer KEY" or "X-Api-Key: KEY"`;
  throw new ApiError(401, message, { code: 'invalid_api_key', headers: { 'www-authenticate': 'Bearer' } });
}

function keyOf({ authorization, 'x-api-key': own }: IncomingHttpHeaders): string | undefined {
  if (authorization !== undefined) return /^Bearer +(\S+) *$/i.exec(authorization)?.[1];
  return typeof own === 'string' ? own : undefined;
}

const LOCAL_NAMES: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * A server without keys is for this machine alone. A page from elsewhere, open in a browser here, could reach it: by a name of its own that
 * it has made to mean 127.0.0.1 (then the Host header is that name), or plainly (then the Origin header says whose page it is).
 *
 * @throws ApiError 403
 */
function checkLocal({ headers, log }: FastifyRequest, corsOrigins: readonly string[]): void {
  const { host = '', origin } = headers;
  if (!LOCAL_NAMES.has(host.replace(/:\d+$/, '').toLowerCase())) {
    log.warn("refused a request under another name than this machine's own");
    const message =
      'this server has no API key and answers to localhost, 127.0.0.1 and [::1] only: start it with --api-key';
    throw new ApiError(403, message, { code: 'host_not_allowed' });
  }
  if (origin === undefined || corsOrigins.includes('*') || corsOrigins.includes(origin) || hostOf(origin) === host)
    return;
  const message = 'pages of other origins may not call this server: start it with --cors ORIGIN to let one in';
  throw new ApiError(403, message, { code: 'origin_not_allowed' });
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}
