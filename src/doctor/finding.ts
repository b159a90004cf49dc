/** What the doctor reports: one hindrance, why it is one, and the command that mends it. */
export interface Finding {
  /** stable, for programs: `offload.lro`, `capability`, … */
  readonly id: string;
  /** error: weir does not run, or shapes wrongly, before this is mended. warning: it runs, but worse than it could. */
  readonly severity: 'error' | 'warning';
  /** the device it is about; null: the machine */
  readonly device: string | null;
  /** what was found, one line */
  readonly what: string;
  readonly why: string;
  /** a command for a shell, to be run by root where it starts with sudo */
  readonly mend: string;
}

export function errorFinding(
  id: string,
  device: string | null,
  what: string,
  why: string,
  mend: string,
): Finding {
  return { id, severity: 'error', device, what, why, mend };
}

export function warningFinding(
  id: string,
  device: string | null,
  what: string,
  why: string,
  mend: string,
): Finding {
  return { id, severity: 'warning', device, what, why, mend };
}
