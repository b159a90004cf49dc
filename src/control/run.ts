/** Runs the daemon in this process until a signal ends it. */
import { fromEvent, map, merge } from 'rxjs';
import type { ClassSource, SourceResult } from '../../classes/source/source.js';
import type { DaemonConfig } from '../config/config.js';
import { WeirError } from '../errors.js';
import { candidatesFor } from './backends.js';
import { bypassPrefixes, Daemon } from './daemon.js';
import { steerInterrupts } from './interrupts.js';
import { createLogger, type Logger } from './log.js';
import { planMachine } from './machine.js';

/**
 * Shapes until SIGTERM or SIGINT with what was `loaded` from the source and what changes there; SIGHUP re-reads all of
 * it. Resolves when the daemon has ended as it was told to, and throws WeirError when it could not start, or a port has
 * disappeared.
 */
export async function runDaemon(
  config: DaemonConfig,
  source: ClassSource,
  loaded: SourceResult,
): Promise<void> {
  const log = createLogger(config.log.level);
  // From the first moment: a signal must never leave the wire half made.
  const signals = merge(
    ...(['SIGTERM', 'SIGINT', 'SIGHUP'] as const).map((name) =>
      fromEvent(process, name).pipe(map(() => name)),
    ),
  );
  let daemon: Daemon | null = null;
  let isTold = false;
  const ended = new Promise<void>((resolve, reject) => {
    const finish = (fault: WeirError | null): void => {
      subscription.unsubscribe();
      daemon!.stop().then(() => (fault === null ? resolve() : reject(fault)), reject);
    };
    const onFault = (fault: WeirError): void => {
      if (isTold) return;
      isTold = true;
      finish(fault);
    };
    const subscription = signals.subscribe((name) => {
      if (name === 'SIGHUP') void reload(daemon, log);
      else if (!isTold) {
        isTold = true;
        log.info({ signal: name }, 'stopping');
        if (daemon !== null) finish(null);
      }
    });
    start(config, source, loaded, log, onFault).then(
      (started) => {
        daemon = started;
        if (isTold) finish(null);
      },
      (error: unknown) => {
        subscription.unsubscribe();
        reject(error);
      },
    );
  });
  await ended;
}

async function start(
  config: DaemonConfig,
  source: ClassSource,
  loaded: SourceResult,
  log: Logger,
  onFault: (fault: WeirError) => void,
): Promise<Daemon> {
  const plan = planMachine(config);
  for (const warning of plan.warnings) log.warn(warning);
  const daemon = new Daemon({
    config,
    source,
    loaded,
    plan,
    log,
    onFault,
    candidates: candidatesFor(config, plan.queues, bypassPrefixes(config)),
  });
  await daemon.start();
  for (const { device } of [config.ports.inside, config.ports.outside])
    steerInterrupts(device, plan.cpus, log);
  return daemon;
}

/** A bad file is one line in the log, and nothing else happens. */
async function reload(daemon: Daemon | null, log: Logger): Promise<void> {
  try {
    await daemon?.reload();
  } catch (error) {
    const code = error instanceof WeirError ? error.code : 'E_INTERNAL';
    log.error({ code, reason: (error as Error).message }, 'classes not re-read, the old ones stay');
  }
}
