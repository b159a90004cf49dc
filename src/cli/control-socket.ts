/** Which running daemon a verb means. */
import { formatFault, loadConfig } from '../config/load.js';
import { printError } from './output.js';

const SOCKET_DEFAULT = '/run/weir/weir.sock';

export interface ControlArguments {
  readonly socket?: string;
  readonly config?: string;
}

/** The socket that is meant; null after the faults of a configuration have been printed. */
export function controlSocket({ socket, config: path }: ControlArguments): string | null {
  if (socket !== undefined) return socket;
  if (path === undefined) return process.env.WEIR_CONTROL_SOCKET ?? SOCKET_DEFAULT;
  const { config, faults } = loadConfig(path);
  for (const fault of faults) printError('E_CONFIG', formatFault(fault));
  return config?.control.socket ?? null;
}
