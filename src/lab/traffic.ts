/** The lab's traffic: iperf3 between subscribers and the internet, and the idle subscriber's pings. */
import { setTimeout as sleep } from 'node:timers/promises';
import { WeirError } from '../errors.js';
import { atNice, Helper } from './commands.js';
import { INTERNET_HOST, type LabNet } from './net.js';
import type { LabFlow, LabPlan } from './plan.js';
import { readPings, readPingsSent } from './readings.js';
import { type DelayMeasured, percentile } from './verdict.js';

/** One iperf3 server serves one client at a time, so each flow has one of its own. */
const FIRST_PORT = 5201;
const LISTEN_TIMEOUT_MS = 5000;
const POLL_MS = 20;
/** A UDP stream is given so long to open, and opened so often. */
const OPEN_TIMEOUT_MS = 1000;
const OPEN_TRIES = 5;
/** Clients run longer than they are measured, so that none ends early. */
const SPARE_SECONDS = 5;
const UDP_PAYLOAD_BYTES = 1472;
const UDP_FRAME_BYTES = 1514;
const PINGS_A_SECOND = 50;
const LOAD_NICE = 5;
/** What is measured is the network's delay, not how long ping waits for a CPU. */
const PING_NICE = -20;

export class Traffic {
  private readonly net: LabNet;
  private readonly plan: LabPlan;
  /** One for each flow, in the order of the plan. */
  private readonly servers: Server[] = [];
  private readonly clients: Helper[] = [];
  private pinger: Helper | null = null;
  private pingText = '';

  constructor(net: LabNet, plan: LabPlan) {
    this.net = net;
    this.plan = plan;
  }

  /** Done when every server listens. Throws E_LAB_COMMAND or E_LAB_TIMEOUT. */
  async listen(signal: AbortSignal): Promise<void> {
    for (const index of this.plan.flows.keys()) this.startServer(index);
    await this.untilListening(signal);
  }

  /**
   * UDP before TCP. iperf3 opens a UDP stream with one datagram each way, which it never repeats; where a dozen TCP
   * connections begin at the same moment, the answer may find a ring full.
   */
  async load(signal: AbortSignal): Promise<void> {
    const flows = [...this.plan.flows.entries()];
    for (const [index, flow] of flows) if (flow.protocol === 'udp') await this.openUdp(index, flow, signal);
    for (const [index, flow] of flows)
      if (flow.protocol === 'tcp') this.clients.push(this.client(index, flow));
  }

  /** Pings from the idle subscriber for so many seconds. */
  startPings(seconds: number): void {
    const { net, plan } = this;
    const count = Math.max(1, Math.floor(seconds * PINGS_A_SECOND));
    const pace = [
      '-i',
      String(1 / PINGS_A_SECOND),
      '-c',
      String(count),
      '-w',
      String(Math.ceil(seconds + 1)),
    ];
    const command = ['ping', '-n', '-I', plan.idle.address, ...pace, INTERNET_HOST];
    const measured = net.within(net.subscribers, ...atNice(PING_NICE, command));
    this.pinger = new Helper(measured, (text) => (this.pingText += text));
  }

  /** The round trip of the last answered ping; null before the first. */
  get lastPingMs(): number | null {
    return readPings(this.pingText).at(-1) ?? null;
  }

  /** Waits for the last pings. */
  async delay(): Promise<DelayMeasured> {
    await this.pinger?.exited;
    const pingsMs = readPings(this.pingText);
    const sent = readPingsSent(this.pingText) ?? pingsMs.length;
    return {
      meanMs: pingsMs.reduce((sum, ms) => sum + ms, 0) / pingsMs.length,
      p99Ms: percentile(pingsMs, 0.99),
      maxMs: Math.max(...pingsMs),
      samples: sent,
      lost: sent - pingsMs.length,
    };
  }

  /** What clients that ended too early have said. */
  get complaints(): string[] {
    return this.clients.filter((client) => !client.isRunning).map((client) => client.lastWords);
  }

  async stop(): Promise<void> {
    // Clients first: a server that loses its client ends by itself.
    await Promise.all(
      [...this.clients, ...(this.pinger === null ? [] : [this.pinger])].map((one) => one.stop()),
    );
    await Promise.all(this.servers.map(({ helper }) => helper.stop()));
  }

  /** In place of the one that the flow may have had. */
  private startServer(index: number): void {
    const words = ['--server', '--one-off', '--forceflush', '--port', String(FIRST_PORT + index)];
    const command = this.net.within(this.net.internet, ...atNice(LOAD_NICE, ['iperf3', ...words]));
    const server: Server = {
      helper: new Helper(command, (more) => {
        server.text += more;
      }),
      text: '',
    };
    this.servers[index] = server;
  }

  private async untilListening(signal: AbortSignal): Promise<void> {
    for (let waitedMs = 0; ; waitedMs += POLL_MS) {
      const silent = this.servers.filter(({ text }) => !text.includes('listening'));
      if (silent.length === 0) return;
      for (const { helper } of silent) helper.assertRunning();
      if (waitedMs > LISTEN_TIMEOUT_MS)
        throw new WeirError('E_LAB_TIMEOUT', 'the iperf3 servers do not listen');
      await sleep(POLL_MS, undefined, { signal });
    }
  }

  private client(index: number, flow: LabFlow, onOutput?: (text: string) => void): Helper {
    const { net, plan } = this;
    const command = clientCommand(flow, FIRST_PORT + index, plan.seconds + SPARE_SECONDS);
    return new Helper(net.within(net.subscribers, ...atNice(LOAD_NICE, command)), onOutput);
  }

  /** One that does not open is left to the complaints when it has been tried often enough. */
  private async openUdp(index: number, flow: LabFlow, signal: AbortSignal): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      let text = '';
      const client = this.client(index, flow, (more) => {
        text += more;
      });
      this.clients.push(client);
      const isOpen = (): boolean => text.includes(' connected to ');
      const endMs = performance.now() + OPEN_TIMEOUT_MS;
      while (!isOpen() && client.isRunning && performance.now() < endMs)
        await sleep(POLL_MS, undefined, { signal });
      if (isOpen() || attempt === OPEN_TRIES) return;
      this.clients.pop();
      await client.stop('SIGKILL');
      await this.servers[index]!.helper.stop('SIGKILL');
      this.startServer(index);
      await this.untilListening(signal);
    }
  }
}

/** A server, and what it has said. */
interface Server {
  readonly helper: Helper;
  text: string;
}

function clientCommand(flow: LabFlow, port: number, seconds: number): string[] {
  // By the line, so that it is known when it is connected.
  const command = ['stdbuf', '--output=L', 'iperf3'];
  command.push('--client', INTERNET_HOST, '--port', String(port), '--bind', flow.address);
  command.push('--time', String(seconds), '--parallel', String(flow.connections));
  if (flow.direction === 'down') command.push('--reverse');
  if (flow.protocol === 'udp') {
    const payloadBps = Math.round((flow.offeredBps * UDP_PAYLOAD_BYTES) / UDP_FRAME_BYTES);
    command.push('--udp', '--bitrate', String(payloadBps), '--length', String(UDP_PAYLOAD_BYTES));
  }
  return command;
}
