// Opens the golden records with Node's own cryptography (18 or newer). It was
// written from the drawing of format 1 alone and is the second implementation:
// where the two disagree, one of them has changed the format.
//
//   node open.mjs records.jsonl
//
// Prints one line and exits 0 if every record opens to its plaintext and every
// changed copy is refused.
import { createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';

const hmac = (key, ...parts) => parts.reduce((h, p) => h.update(p), createHmac('sha512', key)).digest();

// RFC 5869: one block of output is 64 bytes, of which 32 are used.
const expand32 = (prk, label) => hmac(prk, label, Buffer.from([1])).subarray(0, 32);

const uint32 = (n) => { const b = Buffer.alloc(4); b.writeUInt32BE(n); return b; };
const uint64 = (n) => { const b = Buffer.alloc(8); b.writeBigUInt64BE(BigInt(n)); return b; };
const text = (s) => { const b = Buffer.from(String(s), 'utf8'); return [uint32(b.length), b]; };

function open(dek, { org, cred, sv, type }, record) {
  if (record.length < 68 + 12 + 256 + 16) throw new Error('too short');
  if (record.toString('latin1', 0, 2) !== 'CR' || record[2] !== 1 || record[3] !== 1) throw new Error('not format 1');
  const header = record.subarray(0, 68);
  const salt = record.subarray(4, 36);
  const commit = record.subarray(36, 68);
  const nonce = record.subarray(68, 80);
  const body = record.subarray(80, record.length - 16);
  const tag = record.subarray(record.length - 16);

  const prk = hmac(salt, dek);
  if (!timingSafeEqual(expand32(prk, 'credence/v1/commit'), commit)) throw new Error('commitment');
  const cipher = createDecipheriv('aes-256-gcm', expand32(prk, 'credence/v1/enc'), nonce, { authTagLength: 16 });
  cipher.setAAD(Buffer.concat([Buffer.from('credence/seal/v1\0'), header, ...text(org), ...text(cred), ...text(type), uint64(sv)]));
  cipher.setAuthTag(tag);
  const padded = Buffer.concat([cipher.update(body), cipher.final()]);

  const length = padded.readUInt32BE(0);
  if (padded.length !== Math.ceil((4 + length) / 256) * 256) throw new Error('padding');
  if (padded.subarray(4 + length).some((b) => b !== 0)) throw new Error('padding');
  return padded.subarray(4, 4 + length);
}

// One byte changed in each region: magic, format, salt, commitment, nonce, tag.
const changes = [0, 2, 4, 36, 68, -1].map((at) => (record) => {
  const changed = Buffer.from(record);
  changed[at < 0 ? changed.length + at : at] ^= 1;
  return changed;
});

const lines = readFileSync(process.argv[2], 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line));
let opened = 0;
let refused = 0;
for (const line of lines) {
  const dek = Buffer.from(line.dek, 'hex');
  const record = Buffer.from(line.ct, 'base64');
  const want = line.plaintext_base64 === undefined ? Buffer.from(line.plaintext ?? '', 'utf8') : Buffer.from(line.plaintext_base64, 'base64');
  if (open(dek, line, record).equals(want)) opened++;
  for (const change of changes) {
    try {
      open(dek, line, change(record));
    } catch {
      refused++;
    }
  }
}
console.log(`opened ${opened} of ${lines.length}, refused ${refused} of ${lines.length * changes.length} changed`);
process.exit(opened === lines.length && refused === lines.length * changes.length ? 0 : 1);
