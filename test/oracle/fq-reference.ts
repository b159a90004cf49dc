/**
 * FQ-CoDel for one leaf, in objects and arrays: RFC 8290 and Linux's sch_fq_codel.c, with the tins and the sharing among
 * devices of sch_cake.c. It is written from those and not from weir's leaf; the README says where it follows weir.
 */
import { CodelReference, type CodelSource } from './codel-reference.js';
import { chooseTin, type Diffserv, THRESHOLD_SHIFTS, TinSchedule, tinOf } from './tin-reference.js';

export interface FqPacket {
  /** Tells packets apart. */
  tag: number;
  bytes: number;
  /** Numbers, which stand for the hashes of what they name. */
  flow: number;
  device: number;
  dscp: number;
  canMark: boolean;
}

export interface FqSettings {
  flows: number;
  limitPackets: number;
  limitBytes: number;
  targetUs: number;
  intervalUs: number;
  ecn: boolean;
  isolate: 'none' | 'host' | 'dual';
  diffserv: Diffserv;
}

export const FQ_DEFAULTS: FqSettings = {
  flows: 1024,
  limitPackets: 10_240,
  limitBytes: 32_000_000,
  targetUs: 5_000,
  intervalUs: 100_000,
  ecn: true,
  isolate: 'none',
  diffserv: 'besteffort',
};

/** What the leaf did besides sending. */
export interface FqEvent {
  what: 'limit' | 'codel' | 'evicted' | 'mark';
  tag: number;
}

interface Waiting extends FqPacket {
  queuedUs: number;
  isMarked: boolean;
}

interface Flow {
  /** The flow or device that it is for, or the bucket of all that share it. */
  key: number;
  isShared: boolean;
  device: number;
  tin: Tin;
  packets: Waiting[];
  deficit: number;
  codel: CodelReference<Waiting>;
  /** Is old, and has had packets since: counted among the bulk flows of its device. */
  isBulk: boolean;
}

interface Tin {
  newFlows: Flow[];
  oldFlows: Flow[];
  schedule: TinSchedule;
}

interface Chosen {
  packet: Waiting;
  flow: Flow;
}

/** An Ethernet frame of 1500 bytes, without FCS: the quantum, and the backlog that CoDel never minds. */
export const MTU_BYTES = 1514;
const DROP_BATCH = 64;

export class FqReference {
  /** Of several flows that are the fattest, the number of the one to drop from, by their first packets' tags. */
  chooseFattest: (tags: readonly number[]) => number = () => 0;
  readonly #settings: FqSettings;
  #events: FqEvent[] = [];
  #tins: Tin[] = [];
  /** What the tins' schedules are measured by. */
  #sentBytes = 0;
  /** What was looked at in this step and let through. */
  #chosen: Chosen | null = null;

  constructor(settings: Partial<FqSettings> = {}) {
    this.#settings = { ...FQ_DEFAULTS, ...settings };
    this.#forget();
  }

  get backlogPackets(): number {
    return this.#flows().reduce((sum, flow) => sum + flow.packets.length, 0);
  }

  get backlogBytes(): number {
    return this.#flows().reduce((sum, flow) => sum + bytesOf(flow), 0);
  }

  /** Flows that have a standing queue, and the others. */
  get flowCounts(): { sparse: number; bulk: number } {
    const flows = this.#flows();
    const bulk = flows.filter(({ isBulk }) => isBulk).length;
    return { sparse: flows.length - bulk, bulk };
  }

  /** What has happened since this was called before, in order. */
  takeEvents(): FqEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  /** What was looked at before is looked at anew. */
  beginStep(): void {
    this.#chosen = null;
  }

  enqueue(nowUs: number, packet: FqPacket): void {
    this.#chosen = null;
    const tin = this.#tins[tinOf(this.#settings.diffserv, packet.dscp)]!;
    if (!isQueued(tin)) tin.schedule.begin(this.#sentBytes);
    this.#flowOf(tin, packet).packets.push({ ...packet, queuedUs: nowUs, isMarked: false });
    while (this.#isFull() && this.backlogPackets > 1) this.#dropFromFattest();
  }

  /** The packet that is next, which CoDel has let through, by its tag. */
  peek(nowUs: number): number {
    this.#chosen ??= this.#choose(nowUs);
    return this.#chosen.packet.tag;
  }

  /** Gives the packet that is next. */
  dequeue(nowUs: number): number {
    const { packet, flow } = this.#chosen ?? this.#choose(nowUs);
    this.#chosen = null;
    flow.packets.shift();
    flow.deficit -= packet.bytes;
    flow.tin.schedule.charge(this.#sentBytes, packet.bytes);
    this.#sentBytes += packet.bytes;
    if (this.backlogPackets === 0) this.#forget();
    return packet.tag;
  }

  /** Drops from the head of the flow with the most packets, but never the leaf's last packet; returns how many. */
  evict(count: number): number {
    this.#chosen = null;
    let dropped = 0;
    while (dropped < count && this.backlogPackets > 1) {
      const level = Math.floor(Math.max(...this.#flows().map(({ packets }) => packets.length)) / 2);
      for (const flow of this.#flows())
        for (; dropped < count && flow.packets.length > level && this.backlogPackets > 1; dropped++)
          this.#dropHead(flow, 'evicted');
    }
    return dropped;
  }

  #flows(): Flow[] {
    return this.#tins.flatMap(({ newFlows, oldFlows }) => [...newFlows, ...oldFlows]);
  }

  /** An empty leaf knows nothing. */
  #forget(): void {
    this.#sentBytes = 0;
    this.#tins = THRESHOLD_SHIFTS[this.#settings.diffserv].map((shift) => ({
      newFlows: [],
      oldFlows: [],
      schedule: new TinSchedule(shift),
    }));
  }

  /** The flow queue that the packet belongs to; one that was idle becomes the last of the new ones. */
  #flowOf(tin: Tin, packet: FqPacket): Flow {
    const { isolate, flows, targetUs, intervalUs } = this.#settings;
    const own = isolate === 'host' ? packet.device : packet.flow;
    const bucket = own % flows;
    const find = (key: number, isShared: boolean): Flow | undefined =>
      [...tin.newFlows, ...tin.oldFlows].find((flow) => flow.key === key && flow.isShared === isShared);
    const known = find(own, false) ?? find(bucket, true);
    if (known !== undefined) {
      known.isBulk = tin.oldFlows.includes(known);
      return known;
    }
    const isShared = this.#flows().length >= flows - 1;
    const codel = new CodelReference<Waiting>({ targetUs, intervalUs, mtuBytes: MTU_BYTES });
    const { device } = packet;
    const key = isShared ? bucket : own;
    const flow: Flow = { key, isShared, device, tin, packets: [], deficit: 0, codel, isBulk: false };
    flow.deficit = this.#quantumOf(flow);
    tin.newFlows.push(flow);
    return flow;
  }

  /**
   * With dual isolation a device's bulk flows share one quantum (cake's host_load). All quanta grow with every 64 bulk flows
   * of the leaf.
   */
  #quantumOf({ device, tin }: Flow): number {
    if (this.#settings.isolate !== 'dual') return MTU_BYTES;
    const bulkFlows = [...tin.newFlows, ...tin.oldFlows].filter(
      (flow) => flow.isBulk && flow.device === device,
    );
    const multiple = 1 + Math.floor(this.#flows().filter(({ isBulk }) => isBulk).length / 64);
    return Math.floor((MTU_BYTES * multiple) / Math.max(1, bulkFlows.length));
  }

  /** DRR++ (RFC 8290, section 4.2): the packet that goes next. */
  #choose(nowUs: number): Chosen {
    for (;;) {
      const tins = this.#tins.map((tin) => ({ nextAt: tin.schedule.nextAt, isQueued: isQueued(tin) }));
      const tin = this.#tins[chooseTin(this.#sentBytes, tins)]!;
      const isNew = tin.newFlows.length > 0;
      const flow = (isNew ? tin.newFlows : tin.oldFlows)[0]!;
      if (flow.deficit <= 0) {
        this.#unlink(flow);
        tin.oldFlows.push(flow);
        if (flow.packets.length > 0) flow.isBulk = true;
        flow.deficit += this.#quantumOf(flow);
        continue;
      }
      // One that was marked has been judged already.
      if (flow.packets[0]?.isMarked) return { packet: flow.packets[0], flow };
      const packet = flow.codel.dequeue(nowUs, this.#sourceOf(flow));
      if (packet !== null) {
        // Judged, but it stays until it is sent.
        flow.packets.unshift(packet);
        return { packet, flow };
      }
      // Drops may have emptied it: then another tin may be next.
      if (!isQueued(tin)) continue;
      const comesBack = isNew && tin.oldFlows.length > 0;
      this.#unlink(flow);
      if (comesBack) tin.oldFlows.push(flow);
    }
  }

  #unlink(flow: Flow): void {
    const { tin } = flow;
    tin.newFlows = tin.newFlows.filter((other) => other !== flow);
    tin.oldFlows = tin.oldFlows.filter((other) => other !== flow);
  }

  #sourceOf(flow: Flow): CodelSource<Waiting> {
    return {
      take: () => flow.packets.shift() ?? null,
      // In a tin only what waits there is a queue of its own.
      waitingBytes: () => (this.#tins.length > 1 && !isQueued(flow.tin) ? 0 : this.backlogBytes),
      drop: ({ tag }) => this.#events.push({ what: 'codel', tag }),
      mark: (packet) => {
        if (!this.#settings.ecn || !packet.canMark) return false;
        packet.isMarked = true;
        this.#events.push({ what: 'mark', tag: packet.tag });
        return true;
      },
    };
  }

  #isFull(): boolean {
    const { limitPackets, limitBytes } = this.#settings;
    return this.backlogPackets > limitPackets || this.backlogBytes > limitBytes;
  }

  /**
   * Half of the fattest flow, or 64 packets (fq_codel_drop); where that is less than a sixteenth of the leaf's flows, those
   * with more than half as much as the fattest lose theirs as well. The leaf's last packet stays.
   */
  #dropFromFattest(): void {
    const wanted = Math.min(DROP_BATCH, this.#flows().length >> 4);
    const fattest = this.#fattest(bytesOf);
    const enough = Math.ceil(bytesOf(fattest) / 2);
    let dropped = this.#dropTo(fattest, enough, DROP_BATCH);
    for (const flow of this.#flows())
      if (dropped < wanted && bytesOf(flow) > enough) dropped += this.#dropTo(flow, enough, wanted - dropped);
  }

  #dropTo(flow: Flow, bytes: number, count: number): number {
    let dropped = 0;
    while (dropped < count && flow.packets.length > 0 && this.backlogPackets > 1) {
      if (dropped > 0 && bytesOf(flow) <= bytes) break;
      this.#dropHead(flow, 'limit');
      dropped++;
    }
    flow.codel.count += dropped;
    return dropped;
  }

  #fattest(sizeOf: (flow: Flow) => number): Flow {
    const flows = this.#flows().filter(({ packets }) => packets.length > 0);
    const most = Math.max(...flows.map(sizeOf));
    const fattest = flows.filter((flow) => sizeOf(flow) === most);
    return fattest[this.chooseFattest(fattest.map(({ packets }) => packets[0]!.tag))]!;
  }

  #dropHead(flow: Flow, what: FqEvent['what']): number {
    const { tag, bytes } = flow.packets.shift()!;
    this.#events.push({ what, tag });
    return bytes;
  }
}

function bytesOf({ packets }: Flow): number {
  return packets.reduce((sum, { bytes }) => sum + bytes, 0);
}

function isQueued({ newFlows, oldFlows }: Tin): boolean {
  return [...newFlows, ...oldFlows].some(({ packets }) => packets.length > 0);
}
