/** A cable between two namespaces, to send over. */
import { hasTool, makeNamespace, makeVeth, whyNoNamespaces } from '../netns/namespaces.js';

export interface Cable {
  /** Has near0. */
  readonly near: string;
  /** Has far0. */
  readonly far: string;
}

/** Whoever makes it deletes both namespaces. */
export function makeCable(name: string, queues = 1): Cable {
  const near = makeNamespace(`${name}n`);
  const far = makeNamespace(`${name}f`);
  makeVeth({ namespace: near, device: 'near0' }, { namespace: far, device: 'far0' }, queues);
  return { near, far };
}

/** Why the programs of bench/peers cannot run here, or null. */
export function whyNoPeers(): string | null {
  const missing = ['make', 'clang'].find((tool) => !hasTool(tool));
  return whyNoNamespaces() ?? (missing === undefined ? null : `bench/peers needs ${missing}`);
}
