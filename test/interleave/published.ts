/** What workers' own records say they have published of the small tree, compared with the shared sums. */
import { Field } from '../../src/htb/layout.js';
import { TreeMemory } from '../../src/htb/memory.js';
import type { Registry } from '../../src/htb/sharing/registry.js';
import { Fair, type SharedTree, Word } from '../../src/shm/tree-layout.js';
import type { Ending } from './explorer.js';
import { classWord, HOUSE, SITE, U1, U2, weightWord } from './local-tree.js';

/** What a worker's own records say it has published, to be compared with the shared sums. */
export interface Published {
  presence: number[];
  lacks: number[];
  claims: number[];
  weights: number[];
}

export function publishedOf({ words }: TreeMemory, registry: Registry): Published {
  const none = (): number[] => [0, 0, 0, 0];
  const published: Published = { presence: none(), lacks: none(), claims: none(), weights: none() };
  for (const classIndex of [HOUSE, U1, U2]) {
    const record = TreeMemory.recordOf(classIndex);
    const holder = words[record + Field.CLAIM_HOLDER]!;
    if (holder === 0) continue;
    published.presence[classIndex]! += 1;
    if (classIndex === HOUSE) published.presence[SITE]! += 1;
    published.claims[TreeMemory.classIndexOf(holder)]! += words[record + Field.CLAIM_PUBLISHED]!;
  }
  for (const classIndex of [U1, U2]) {
    const weight = words[TreeMemory.recordOf(classIndex) + Field.WEIGHT_PUBLISHED]!;
    for (const above of [HOUSE, SITE]) published.weights[above]! += weight;
    published.lacks[classIndex]! += registry.lackOf(TreeMemory.recordOf(classIndex));
  }
  return published;
}

/** The shared sums of a side must be those of all workers' records, which are all zero when everything was withdrawn. */
export function sumsProblem(
  shared: SharedTree,
  read: Ending['read'],
  workers: readonly Published[],
  side = 0,
): string | null {
  for (const classIndex of [SITE, HOUSE, U1, U2]) {
    const sum = (of: keyof Published): number =>
      workers.reduce((total, published) => total + published[of][classIndex]!, 0);
    const presence = read(shared.classWords, classWord(classIndex, Word.PRESENCE) + side);
    const lack = read(shared.classWords, classWord(classIndex, Word.LACK) + side);
    const claims = read(shared.classWords, classWord(classIndex, Word.CLAIMS) + side);
    const weight = read(shared.fairWords, weightWord(classIndex) + side * Fair.WEIGHT_SIDE);
    if (presence !== sum('presence')) return `presence of class ${classIndex}: ${presence}`;
    if (lack !== sum('lacks')) return `lack of class ${classIndex}: ${lack}, not ${sum('lacks')}`;
    if (claims !== sum('claims')) return `claims at class ${classIndex}: ${claims}, not ${sum('claims')}`;
    if (weight !== sum('weights')) return `weight at class ${classIndex}: ${weight}, not ${sum('weights')}`;
  }
  return null;
}
