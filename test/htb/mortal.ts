/** Code that dies at an access to shared memory, as a thread does that throws or is terminated. */

/** Not an Error, so that nothing takes it for one. */
const DEATH = Symbol('death');

/** Runs `code` until it has made `accesses` atomic accesses; true when it died, false when it had ended before. */
export function dieAfter(accesses: number, code: () => void): boolean {
  const outer = globalThis.Atomics;
  let left = accesses;
  const mortal = new Proxy(outer, {
    get: (target, name) => {
      const real = Reflect.get(target, name) as (...parameters: unknown[]) => unknown;
      return (...parameters: unknown[]) => {
        if (left-- === 0) throw DEATH;
        return real(...parameters);
      };
    },
  });
  globalThis.Atomics = mortal;
  try {
    code();
    return false;
  } catch (error) {
    if (error !== DEATH) throw error;
    return true;
  } finally {
    globalThis.Atomics = outer;
  }
}
