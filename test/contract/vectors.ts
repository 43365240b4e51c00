import { readFileSync } from 'node:fs';
import type { MethodName } from '../../src/contract/methods.ts';
import type { ReplyKey } from '../../src/contract/reply-key.ts';

/** A signed request of the published vectors. */
export interface RequestVector {
  name: string;
  method: MethodName;
  body: string;
  replyTo: string;
  correlationId: string;
  audience: string;
  credentials: { clientId: string; accessToken: string; certificate?: object; authorizedScopes?: string[] };
  timestampSeconds: number;
  nonce: string;
  resource: string;
  payloadHash: string;
  normalized: string;
  authorization: string;
}

interface Vectors {
  about: string;
  requests: RequestVector[];
  encodings: { text: string; encoded: string }[];
  sealedWithSeveralAddresses: {
    replyKey: ReplyKey;
    privateKey: ReplyKey & { d: string };
    jwe: string;
    plaintext: string;
  };
  sealed: { replyKey: ReplyKey; privateKey: ReplyKey & { d: string }; jwe: string; plaintext: string };
  refusedReplyKeys: { why: string; replyKey: Record<string, unknown> }[];
  instants: { text: string; ms: number }[];
  refusedInstants: string[];
  contacts: { contact: string; medium: string }[];
  refusedContacts: string[];
}

/** The published test vectors for authors of clients. */
export const vectors: Vectors = JSON.parse(
  readFileSync(new URL('../../docs/protocol-vectors.json', import.meta.url), 'utf8'),
);
