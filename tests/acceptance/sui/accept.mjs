// Sui's own TypeScript SDK, unchanged, against a running embedded ledger, over gRPC-web.
//
//     cargo run --bin devnet -- up --detach
//     npm --prefix tests/acceptance/sui ci && npm --prefix tests/acceptance/sui run accept
//
// Promises: every line printed is something the SDK did and whose outcome was checked; the exit code is 0 only if all of
// it worked. DEVNET names another devnet.json, or another devnet by its folder.
// Does not: run in CI (it needs a registry and Node), or test rules; the tests of `devnet` do.

import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

import { blake2b } from '@noble/hashes/blake2.js';
import { bcs } from '@mysten/sui/bcs';
import { requestSuiFromFaucetV2 } from '@mysten/sui/faucet';
import { SuiGrpcClient } from '@mysten/sui/grpc';
import { Ed25519Keypair } from '@mysten/sui/keypairs/ed25519';
import { Secp256k1Keypair } from '@mysten/sui/keypairs/secp256k1';
import { coinWithBalance, Transaction } from '@mysten/sui/transactions';
import { deriveDynamicFieldID, fromHex, normalizeStructTag, toHex } from '@mysten/sui/utils';

const WAL = 1_000_000_000n;
const ENCODING = 2;
const SUI = normalizeStructTag('0x2::sui::SUI');

const card = readCard();
const packageId = card.chain.packages.haulout;
const wal = normalizeStructTag(`${packageId}::wal::WAL`);
const stakingInner = stakingInnerId(card.chain.staking_object);
const client = new SuiGrpcClient({ network: 'haulout-devnet', baseUrl: card.chain.rpc });
const [alice, bob] = [new Ed25519Keypair(), new Secp256k1Keypair()];

/** What `devnet up` wrote about the network. */
function readCard() {
  const state = process.env.XDG_STATE_HOME ?? join(homedir(), '.local', 'state');
  const named = process.env.DEVNET ?? join(state, 'haulout', 'devnet', 'default');
  const file = statSync(named).isDirectory() ? join(named, 'devnet.json') : named;
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** The state of stake is where the view of it says: a hash of the view's id. */
function stakingInnerId(staking) {
  const label = new TextEncoder().encode('haulout staking state');
  const bytes = new Uint8Array([...label, ...fromHex(staking)]);
  return `0x${toHex(blake2b(bytes, { dkLen: 32 }))}`;
}

const address = (key) => key.toSuiAddress();
const balance = async (owner, coinType) =>
  BigInt((await client.getBalance({ owner: address(owner), coinType })).balance.balance);

/** Builds with the ledger's help, signs, executes, and waits until it is in a checkpoint. */
async function run(signer, sketch, sponsor) {
  const transaction = new Transaction();
  transaction.setSender(address(signer));
  if (sponsor) transaction.setGasOwner(address(sponsor));
  sketch(transaction);
  const bytes = await transaction.build({ client });
  const signers = sponsor ? [signer, sponsor] : [signer];
  const signed = await Promise.all(signers.map((key) => key.signTransaction(bytes)));
  const signatures = signed.map(({ signature }) => signature);
  const result = await client.executeTransaction({
    transaction: bytes,
    signatures,
    include: { effects: true, events: true, objectTypes: true },
  });
  assert.equal(result.$kind, 'Transaction', JSON.stringify(result));
  const { digest } = result.Transaction;
  const { Transaction: found } = await client.waitForTransaction({ digest });
  assert.equal(found.digest, digest);
  assert.ok(found.checkpoint, 'it is in a checkpoint');
  return result.Transaction;
}

const steps = {
  async 'the service says which chain it is and what gas costs'() {
    const { response } = await client.ledgerService.getServiceInfo({});
    const { chainIdentifier } = await client.core.getChainIdentifier();
    assert.equal(response.chainId, chainIdentifier);
    const { referenceGasPrice } = await client.getReferenceGasPrice();
    assert.ok(BigInt(referenceGasPrice) > 0n);
  },

  async 'the faucet gives both tokens'() {
    for (const key of [alice, bob]) {
      for (let gift = 0; gift < 4; gift += 1) {
        await requestSuiFromFaucetV2({ host: card.chain.faucet, recipient: address(key) });
      }
    }
    assert.ok((await balance(alice, SUI)) > 0n && (await balance(bob, wal)) >= 2n * WAL);
  },

  async 'objects are read, one and many, and what is not there is said'() {
    const ids = [card.chain.system_object, card.chain.staking_object, card.chain.params_object];
    const { object } = await client.getObject({ objectId: ids[0], include: { content: true } });
    assert.equal(object.owner.$kind, 'Shared');
    assert.equal(toHex(object.content.slice(0, 32)), ids[0].slice(2));
    const { objects } = await client.getObjects({ objectIds: [...ids, '0xdead'] });
    assert.deepEqual(objects.slice(0, 3).map((it) => it.objectId), ids);
    assert.equal(objects[3].code, 'notExists');
    await assert.rejects(client.getObject({ objectId: '0xdead' }));
  },

  async 'coins and balances are listed in pages'() {
    const seen = new Set();
    let cursor = null;
    do {
      const page = await client.listCoins({ owner: address(alice), coinType: wal, limit: 1, cursor });
      page.objects.forEach((coin) => seen.add(coin.objectId));
      cursor = page.hasNextPage ? page.cursor : null;
    } while (cursor);
    assert.equal(seen.size, 4);
    const { objects } = await client.listOwnedObjects({ owner: address(alice) });
    assert.equal(objects.length, 8);
    const first = await client.listBalances({ owner: address(alice), limit: 1 });
    const second = await client.listBalances({ owner: address(alice), limit: 1, cursor: first.cursor });
    assert.ok(first.hasNextPage && !second.hasNextPage);
    const types = [...first.balances, ...second.balances].map((it) => normalizeStructTag(it.coinType));
    assert.deepEqual(new Set(types), new Set([SUI, wal]));
  },

  async 'a token has a name, a symbol and decimals'() {
    const { coinMetadata } = await client.getCoinMetadata({ coinType: wal });
    assert.deepEqual([coinMetadata.symbol, coinMetadata.decimals], ['WAL', 9]);
    const { response } = await client.stateService.getCoinInfo({ coinType: wal });
    assert.ok(response.treasury.totalSupply > 0n);
  },

  async 'a coin is split off the gas and given away'() {
    const before = await balance(bob, SUI);
    await run(alice, (transaction) => {
      const [coin] = transaction.splitCoins(transaction.gas, [1234]);
      transaction.transferObjects([coin], address(bob));
    });
    assert.equal(await balance(bob, SUI), before + 1234n);
  },

  async 'the SDK collects coins of WAL by itself'() {
    const before = await balance(bob, wal);
    await run(alice, (transaction) => {
      const coin = coinWithBalance({ type: wal, balance: WAL + 1n });
      transaction.transferObjects([coin], address(bob));
    });
    assert.equal(await balance(bob, wal), before + WAL + 1n);
  },

  async 'stake is paid in and the receipt is the staker\'s'() {
    const done = await run(bob, (transaction) => {
      const coin = coinWithBalance({ type: wal, balance: 2n * WAL });
      const receipt = transaction.moveCall({
        target: `${packageId}::staking::stake_with_pool`,
        arguments: [
          transaction.object(stakingInner),
          transaction.object(card.chain.params_object),
          coin,
          transaction.pure.id(card.nodes[0].node_id),
        ],
      });
      transaction.transferObjects([receipt], address(bob));
    });
    assert.ok(done.events.some((event) => event.eventType.endsWith('::Staked')));
    const type = `${packageId}::staking::Staked`;
    assert.ok(Object.values(done.objectTypes).some((it) => it.endsWith('::Staked')), JSON.stringify(done.objectTypes));
    const found = Object.entries(done.objectTypes).find(([, it]) => it.endsWith('::Staked'));
    const { objects } = await client.listOwnedObjects({ owner: address(bob), type: found[1] });
    assert.deepEqual(objects.map((it) => it.objectId), [found[0]], type);
  },

  async 'a sponsor pays for the gas of another'() {
    const [aliceBefore, bobBefore] = [await balance(alice, SUI), await balance(bob, SUI)];
    const coin = (await client.listCoins({ owner: address(alice), coinType: wal })).objects[0];
    await run(alice, (transaction) => transaction.transferObjects([coin.objectId], address(bob)), bob);
    assert.equal(await balance(alice, SUI), aliceBefore);
    assert.ok((await balance(bob, SUI)) < bobBefore);
  },

  async 'a kind alone is completed for somebody without gas, and a sponsor makes a transaction of it'() {
    const poor = new Ed25519Keypair();
    const sketch = new Transaction();
    sketch.setSender(address(poor));
    sketch.moveCall({
      target: `${packageId}::staking::settle`,
      arguments: [sketch.object(stakingInner), sketch.pure.id(card.nodes[0].node_id)],
    });
    const kind = await sketch.build({ client, onlyTransactionKind: true });
    const transaction = Transaction.fromKind(kind);
    transaction.setSender(address(poor));
    transaction.setGasOwner(address(alice));
    const bytes = await transaction.build({ client });
    const signed = [await poor.signTransaction(bytes), await alice.signTransaction(bytes)];
    const signatures = signed.map(({ signature }) => signature);
    const result = await client.executeTransaction({ transaction: bytes, signatures });
    assert.equal(result.$kind, 'Transaction');
  },

  async 'a call that the rules refuse says its code before anybody pays'() {
    const sketch = new Transaction();
    sketch.setSender(address(bob));
    const coin = coinWithBalance({ type: wal, balance: 1n });
    const receipt = sketch.moveCall({
      target: `${packageId}::staking::stake_with_pool`,
      arguments: [
        sketch.object(stakingInner),
        sketch.object(card.chain.params_object),
        coin,
        sketch.pure.id(card.nodes[0].node_id),
      ],
    });
    sketch.transferObjects([receipt], address(bob));
    await assert.rejects(sketch.build({ client }), (error) => {
      assert.equal(error.executionError?.MoveAbort?.abortCode, '1501', error.message);
      return true;
    });
  },

  async 'simulation shows what would happen without a signature'() {
    const before = await balance(alice, SUI);
    const sketch = new Transaction();
    sketch.setSender(address(alice));
    const [coin] = sketch.splitCoins(sketch.gas, [5]);
    sketch.transferObjects([coin], address(bob));
    const result = await client.simulateTransaction({ transaction: sketch, include: { effects: true } });
    assert.equal(result.$kind, 'Transaction');
    assert.equal(await balance(alice, SUI), before);
  },

  async 'a blob is registered, and its metadata is a dynamic field that is listed and read'() {
    const blob = await registerBlob();
    const { dynamicFields } = await client.listDynamicFields({ parentId: blob, include: { value: true } });
    assert.equal(dynamicFields.length, 1);
    const [field] = dynamicFields;
    const name = bcs.vector(bcs.u8()).serialize(new TextEncoder().encode('metadata')).toBytes();
    assert.equal(field.fieldId, deriveDynamicFieldID(blob, 'vector<u8>', name));
    const pairs = bcs.vector(bcs.tuple([bcs.string(), bcs.string()]));
    assert.deepEqual(pairs.parse(field.value.bcs), [['type', 'text/plain']]);
    const read = await client.getDynamicField({ parentId: blob, name: { type: 'vector<u8>', bcs: name } });
    assert.deepEqual(pairs.parse(read.dynamicField.value.bcs), [['type', 'text/plain']]);
  },

  async 'checkpoints stream, and silence is short'() {
    const stop = new AbortController();
    const readMask = { paths: ['sequence_number', 'digest'] };
    const stream = client.subscriptionService.subscribeCheckpoints({ readMask }, { abort: stop.signal });
    const numbers = [];
    const started = Date.now();
    for await (const { cursor } of stream.responses) {
      numbers.push(cursor);
      if (numbers.length === 3) break;
    }
    stop.abort();
    assert.deepEqual(numbers, [numbers[0], numbers[0] + 1n, numbers[0] + 2n]);
    assert.ok(Date.now() - started < 15_000);
  },
};

/** Buys space and registers a made-up blob with one text on it; says its id. */
async function registerBlob() {
  const root = crypto.getRandomValues(new Uint8Array(32));
  const size = 1000n;
  const blobId = blake2b(new Uint8Array([ENCODING, ...bcs.u64().serialize(size).toBytes(), ...root]), { dkLen: 32 });
  const done = await run(bob, (transaction) => {
    const system = transaction.object(card.chain.system_object);
    const params = transaction.object(card.chain.params_object);
    const coin = coinWithBalance({ type: wal, balance: WAL / 4n });
    const call = (module, name, args) => transaction.moveCall({ target: `${packageId}::${module}::${name}`, arguments: args });
    const u64 = (value) => transaction.pure.u64(value);
    const max = u64(2n ** 63n);
    const space = call('system', 'reserve_space', [system, u64(8n << 20n), transaction.pure.u32(0), transaction.pure.u32(3), coin, max]);
    const plain = [blobId, root].map((bytes) => transaction.pure(bytes));
    const blob = call('system', 'register_blob', [system, params, space, ...plain, u64(size), transaction.pure.u8(ENCODING), transaction.pure.bool(true), coin, max]);
    call('blob', 'add_metadata', [blob]);
    call('blob', 'insert_or_update_metadata_pair', [blob, transaction.pure.string('type'), transaction.pure.string('text/plain')]);
    transaction.transferObjects([blob, coin], address(bob));
  });
  return Object.entries(done.objectTypes).find(([, type]) => type.endsWith('::Blob'))[0];
}

for (const [name, step] of Object.entries(steps)) {
  const started = Date.now();
  await step();
  console.log(`ok  ${name} (${Date.now() - started} ms)`);
}
console.log(`${Object.keys(steps).length} of ${Object.keys(steps).length}`);
