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
  private readonly servers: Helper[] = [];
  private readonly clients: Helper[] = [];
  private pinger: Helper | null = null;
  private pingText = '';

  constructor(net: LabNet, plan: LabPlan) {
    this.net = net;
    this.plan = plan;
  }

  /** Done when every server listens. Throws E_LAB_COMMAND or E_LAB_TIMEOUT. */
  async listen(signal: AbortSignal): Promise<void> {
    let listening = 0;
    for (const [index] of this.plan.flows.entries()) {
      const command = [
        'iperf3',
        '--server',
        '--one-off',
        '--forceflush',
        '--port',
        String(FIRST_PORT + index),
      ];
      let text = '';
      const onOutput = (more: string): void => {
        const before = text.includes('listening');
        text += more;
        if (!before && text.includes('listening')) listening++;
      };
      this.servers.push(
        new Helper(this.net.within(this.net.internet, ...atNice(LOAD_NICE, command)), onOutput),
      );
    }
    for (let waitedMs = 0; listening < this.servers.length; waitedMs += POLL_MS) {
      for (const server of this.servers) server.assertRunning();
      if (waitedMs > LISTEN_TIMEOUT_MS)
        throw new WeirError('E_LAB_TIMEOUT', 'the iperf3 servers do not listen');
      await sleep(POLL_MS, undefined, { signal });
    }
  }

  load(): void {
    const { net, plan } = this;
    for (const [index, flow] of plan.flows.entries()) {
      const command = clientCommand(flow, FIRST_PORT + index, plan.seconds + SPARE_SECONDS);
      this.clients.push(new Helper(net.within(net.subscribers, ...atNice(LOAD_NICE, command))));
    }
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
    await Promise.all(this.servers.map((server) => server.stop()));
  }
}

function clientCommand(flow: LabFlow, port: number, seconds: number): string[] {
  const command = ['iperf3', '--client', INTERNET_HOST, '--port', String(port), '--bind', flow.address];
  command.push('--time', String(seconds), '--parallel', String(flow.connections));
  if (flow.direction === 'down') command.push('--reverse');
  if (flow.protocol === 'udp') {
    const payloadBps = Math.round((flow.offeredBps * UDP_PAYLOAD_BYTES) / UDP_FRAME_BYTES);
    command.push('--udp', '--bitrate', String(payloadBps), '--length', String(UDP_PAYLOAD_BYTES));
  }
  return command;
}
