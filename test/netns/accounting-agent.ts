/**
 * One end of a wire that knows what it has received. Its arguments are the addresses to listen at. Understands on stdin
 * `send FROM TO COUNT BYTES`, which it answers with `sent`, and `counts`, which it answers with a JSON object:
 * from local and remote address, as `10.0.0.1<10.0.0.2`, to `[packets, payload bytes]`.
 */
import { createSocket, type Socket } from 'node:dgram';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const PORT = 9999;
const AT_ONCE = 5;
const PAUSE_MS = 3;

const counts = new Map<string, [number, number]>();
const sockets = new Map<string, Socket>();

function listen(address: string): Promise<void> {
  const socket = createSocket('udp4');
  sockets.set(address, socket);
  socket.on('message', (message, { address: from }) => {
    const key = `${address}<${from}`;
    const [packets, bytes] = counts.get(key) ?? [0, 0];
    counts.set(key, [packets + 1, bytes + message.length]);
  });
  return new Promise((resolve) => socket.bind(PORT, address, resolve));
}

async function send(from: string, to: string, count: number, bytes: number): Promise<void> {
  const payload = Buffer.alloc(bytes);
  for (let sent = 0; sent < count; sent++) {
    sockets.get(from)!.send(payload, PORT, to);
    if (sent % AT_ONCE === AT_ONCE - 1) await sleep(PAUSE_MS);
  }
}

for (const address of process.argv.slice(2)) await listen(address);
process.stdout.write('ready\n');
for await (const line of createInterface({ input: process.stdin })) {
  const [word, from, to, count, bytes] = line.split(' ');
  if (word === 'counts') process.stdout.write(`${JSON.stringify(Object.fromEntries(counts))}\n`);
  else {
    await send(from!, to!, Number(count), Number(bytes));
    process.stdout.write('sent\n');
  }
}
process.exit();
