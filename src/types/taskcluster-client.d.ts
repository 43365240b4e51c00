/**
 * Types for the part of taskcluster-client 87 that is used here; the package ships none. The classes exist only on the
 * default export: there are no named exports `Auth` or `Notify`.
 */
declare module 'taskcluster-client' {
  import type { Agent as HttpAgent } from 'node:http';
  import type { Agent as HttpsAgent } from 'node:https';

  /** Taskcluster credentials; temporary ones carry a certificate, as an object or as its JSON. */
  export interface Credentials {
    clientId: string;
    accessToken: string;
    certificate?: string | object;
  }

  export interface ClientOptions {
    rootUrl: string;
    credentials?: Credentials | Record<string, never>;
    authorizedScopes?: string[];
    /** For each try of a call, in milliseconds; 30,000 unless told. */
    timeout?: number;
    /** Tries after the first one; 5 unless told. */
    retries?: number;
    /** The wait before retry n is 2^n times this, in milliseconds; 100 unless told. */
    delayFactor?: number;
  }

  /** What a call rejects with when the service answered; without an answer it is an error of the HTTP library. */
  export interface ClientError extends Error {
    code?: string;
    statusCode?: number;
    body?: unknown;
  }

  export interface AuthenticateHawkRequest {
    method: string;
    resource: string;
    host: string;
    port: number;
    authorization?: string;
    sourceIp?: string;
  }

  export interface EmailRequest {
    address: string;
    subject: string;
    content: string;
    link?: { text: string; href: string };
    replyTo?: string;
    template?: 'simple' | 'fullscreen';
  }

  export interface Auth {
    /** What the service answered, not checked in any way. */
    authenticateHawk(request: AuthenticateHawkRequest): Promise<unknown>;
    ping(): Promise<unknown>;
  }

  export interface Notify {
    /** Resolves the same way when a mail was sent (200) and when it was not (204: duplicate, denied, rate limited). */
    email(request: EmailRequest): Promise<unknown>;
    ping(): Promise<unknown>;
  }

  const taskcluster: {
    Auth: new (options: ClientOptions) => Auth;
    Notify: new (options: ClientOptions) => Notify;
    /** What clients made from then on send their calls through. As they are, they keep no connection alive. */
    agents: { http: HttpAgent; https: HttpsAgent };
    createTemporaryCredentials(options: {
      /** A clientId makes the credentials named ones. */
      clientId?: string;
      start?: Date;
      expiry: Date;
      scopes: string[];
      credentials: Credentials;
    }): { clientId: string; accessToken: string; certificate: string };
    fromNow(offset: string, reference?: Date): Date;
    slugid(): string;
  };
  export default taskcluster;
}
