// ---- What every script of this kind has; the revisions follow below. ----

const BY = "mongosh";
const HOST = require("os").hostname();
const DURABLE = { w: "majority", j: true };
const NOT_PUT_BACK = { put_back: { $exists: false } };

const ours = (name) => db.getCollection(name);
const there = (name) => db.getCollectionInfos({ name })[0];
const after = (last) => ({ $expr: { $gt: ["$_id", { $literal: last }] } });
const between = (first, last) => ({
  $expr: {
    $and: [{ $gte: ["$_id", { $literal: first }] }, { $lte: ["$_id", { $literal: last }] }],
  },
});

// -- The lock: the lease that a normal run takes. The server's clock rules it.

const owner = new ObjectId().toHexString();
let token = 0;

const inMinutes = (minutes) => ({ $add: ["$$NOW", minutes * 60000] });

function takeLock() {
  const locks = ours("_migrations_lock");
  locks.updateOne(
    { _id: "lock" },
    { $setOnInsert: { token: 0, owner: null, expires_at: null } },
    { upsert: true, writeConcern: DURABLE },
  );
  const free = { $or: [{ $eq: ["$owner", null] }, { $lte: ["$expires_at", "$$NOW"] }] };
  const mark = {
    owner,
    token: { $add: ["$token", 1] },
    since: "$$NOW",
    user: BY,
    host: { $literal: HOST },
    pid: process.pid,
    expires_at: inMinutes(10),
  };
  const lock = locks.findOneAndUpdate({ _id: "lock", $expr: free }, [{ $set: mark }], {
    returnDocument: "after",
    writeConcern: DURABLE,
  });
  if (lock === null) {
    const holder = locks.findOne({ _id: "lock" });
    throw new Error(
      `Another migration holds the lock: ${holder.user}@${holder.host} (pid ${holder.pid})`,
    );
  }
  token = lock.token;
}

// Called before each batch; an index is built in one go, and gets a day.
function keepLock(minutes = 10) {
  const kept = ours("_migrations_lock").updateOne({ _id: "lock", owner }, [
    { $set: { expires_at: inMinutes(minutes) } },
  ]);
  if (kept.matchedCount === 0) {
    throw new Error("The lock was lost: it was not renewed in time. Run this script again.");
  }
}

function releaseLock() {
  ours("_migrations_lock").updateOne(
    { _id: "lock", owner },
    { $set: { owner: null, expires_at: null } },
  );
}

// -- The guard: the script goes with one state of the database, and with no other.

function guard(plan) {
  const hello = db.hello();
  if (!hello.isWritablePrimary) throw new Error("This server is no primary.");
  if (!hello.setName && hello.msg !== "isdbgrid") {
    throw new Error("This server has no transactions: it is no replica set.");
  }
  const entries = ours("_migrations").find({}, { history: 0 }).toArray();
  const ids = plan.revisions.map((revision) => revision.id);
  for (const entry of entries) {
    const open = entry.status === "running" || entry.awaits_partner || entry.partial;
    const mine =
      entry.by === BY && entry.direction === plan.direction && ids.includes(entry._id);
    if (open && !mine) {
      throw new Error(`Revision ${entry._id} is half done, by ${entry.by}.`);
    }
  }
  const applied = entries.filter(isApplied).map((entry) => entry._id);
  const done = doneOf(plan, applied);
  for (const revision of plan.revisions.slice(0, done)) {
    const entry = entries.find((each) => each._id === revision.id);
    if (plan.direction === "upgrade" && entry.checksum !== revision.checksum) {
      throw new Error(`Revision ${revision.id} was applied from another script.`);
    }
  }
  return done;
}

function isApplied(entry) {
  const goingDown = entry.direction === "downgrade";
  return (
    entry.status === "applied" ||
    (goingDown && (entry.status === "running" || entry.status === "failed"))
  );
}

// How many of the plan's revisions an earlier call of this script has completed.
function doneOf(plan, applied) {
  const found = applied.slice().sort().join(", ");
  const ids = plan.revisions.map((revision) => revision.id);
  for (let done = 0; done < ids.length; done++) {
    const changed = ids.slice(0, done);
    const expected =
      plan.direction === "upgrade"
        ? plan.before.concat(changed)
        : plan.before.filter((id) => !changed.includes(id));
    if (expected.slice().sort().join(", ") === found) return done;
  }
  throw new Error(
    `This script is for a database with the revisions [${plan.before.join(", ")}]; ` +
      `this one has [${found}].`,
  );
}

// -- The journal: _migrations for revisions, _migrations_steps for their operations.

let revision; // the one that is being done
let current; // the record of the step that is being done

function beginRevision(plan, number) {
  revision = { ...plan.revisions[number], direction: plan.direction };
  print(`${revision.direction} ${revision.id}  ${revision.description}`);
  ours("_migrations").updateOne({ _id: revision.id }, begun(revision), {
    upsert: true,
    writeConcern: DURABLE,
  });
}

function finishRevision() {
  keepLock();
  settle();
  inTransaction((database) => {
    database.getCollection("_migrations").updateOne({ _id: revision.id }, ended);
    database.getCollection("_migrations_steps").deleteMany({
      "_id.revision": revision.id,
      "_id.direction": revision.direction,
    });
  });
}

// Do one operation, or the rest of it. What a batch is for has a record from its begin;
// it is "unsafe" to a normal run, so that none takes it up without a word (see `repair`).
function step(number, text, record, { before = () => ({}), work }) {
  keepLock();
  const steps = ours("_migrations_steps");
  const key = { revision: revision.id, direction: revision.direction, step: number };
  const save = (changes) => {
    current = { ...current, ...changes };
    steps.replaceOne({ _id: key }, current, { upsert: true, writeConcern: DURABLE });
  };
  const found = steps.findOne({ _id: key });
  if (found !== null && found.status === "done") {
    print(`  ${number}: done already`);
    return;
  }
  print(`  ${number}: ${text}`);
  const who = { kind: "unsafe", by: BY, host: HOST, token };
  if (found === null || found.status !== "started") {
    const begun = { ...who, before: before(), started_at: new Date() };
    current = { _id: key, ...blank, ...record, ...begun };
    if (record.kind === "transactional") save({});
  } else if (found.fingerprint !== record.fingerprint) {
    throw new Error(`Step ${number} was begun by another version of this script.`);
  } else {
    current = found;
  }
  work(current.before);
  save({ ...(steps.findOne({ _id: key }) || {}), status: "done", finished_at: new Date() });
}

function saveCheckpoint(database, checkpoint, documents) {
  database
    .getCollection("_migrations_steps")
    .updateOne(
      { _id: current._id },
      { $set: { checkpoint, token }, $inc: { documents, batches: documents ? 1 : 0 } },
    );
}

// -- Batches: each one is a transaction, with its checkpoint.

function inTransaction(work) {
  for (let attempt = 1; ; attempt++) {
    const session = db.getMongo().startSession({ causalConsistency: false });
    try {
      session.startTransaction({
        readConcern: { level: "snapshot" },
        writeConcern: DURABLE,
        readPreference: "primary",
      });
      const result = work(session.getDatabase(db.getName()));
      session.commitTransaction();
      return result;
    } catch (error) {
      const labels = error.errorLabels || [];
      const again = attempt < 100 && labels.includes("TransientTransactionError");
      if (!again) throw error;
      sleep(Math.min(10 * attempt, 500));
    } finally {
      session.endSession();
    }
  }
}

const updates = (name, change) => (database, batch) =>
  database.getCollection(name).updateMany(batch, change);
const deletes = (name) => (database, batch) =>
  database.getCollection(name).deleteMany(batch);

// Walk a collection in the order of _id, on from the checkpoint. write(database, query)
// does one batch. keep: { aside, entry, query }: what is copied aside first.
function inBatches(name, query, size, write, { phase = 0, keep, exempt = [] } = {}) {
  if ((current.checkpoint.phase || 0) > phase) return;
  passOver(name, query, size, write, { phase, keep, exempt });
  leave(phase);
}

// The same, and again for what the app wrote meanwhile, until `left` matches none.
function untilNoneLeft(name, query, size, write, options = {}) {
  const { phase = 0, keep, exempt = [], left = query, problem } = options;
  if ((current.checkpoint.phase || 0) > phase) return;
  for (let round = 0; ; round++) {
    const written = passOver(name, query, size, write, { phase, keep, exempt });
    if (countOf(name, left, exempt) === 0) break;
    if (round > 0 && written === 0) refuseAny(name, left, problem, { exempt });
    current.checkpoint = { phase };
    saveCheckpoint(db, current.checkpoint, 0);
  }
  leave(phase);
}

function leave(phase) {
  current.checkpoint = { phase: phase + 1 };
  saveCheckpoint(db, current.checkpoint, 0);
}

function passOver(name, query, size, write, { phase, keep, exempt }) {
  let written = 0;
  for (;;) {
    keepLock();
    const started = current.checkpoint.phase === phase && "last" in current.checkpoint;
    const rest = started ? { $and: [after(current.checkpoint.last), query] } : query;
    const ids = idsOf(name, rest, size, exempt);
    if (ids.length === 0) return written;
    const last = ids[ids.length - 1];
    const which = exempt.length ? { _id: { $in: ids } } : between(ids[0], last);
    const batch = { $and: [which, query] };
    const checkpoint = { phase, round: 0, last };
    if (keep !== undefined) copyAside(name, batch, keep);
    const done = inTransaction((database) => {
      if (keep !== undefined && isChanged(database, name, batch, keep)) return false;
      write(database, batch);
      saveCheckpoint(database, checkpoint, ids.length);
      return true;
    });
    if (!done) continue; // the app wrote to it meanwhile: copy it again
    current.checkpoint = checkpoint;
    written += ids.length;
  }
}

function idsOf(name, query, size, exempt) {
  const stages = [{ $match: query }, { $sort: { _id: 1 } }, { $project: { _id: 1 } }];
  const found = db
    .getCollection(name)
    .aggregate([...stages, ...without(exempt), { $limit: size }])
    .toArray();
  return found.map((document) => document._id);
}

// The stages that leave out what a downgrade has put back.
function without(exempt) {
  const stages = [];
  for (const aside of exempt) {
    stages.push(
      { $lookup: { from: aside, localField: "_id", foreignField: "_id", as: "aside" } },
      { $match: { "aside.put_back": { $exists: false } } },
    );
  }
  return stages;
}

function countOf(name, query, exempt = []) {
  const stages = [{ $match: query }, ...without(exempt), { $count: "count" }];
  const found = db.getCollection(name).aggregate(stages).toArray();
  return found.length ? found[0].count : 0;
}

function refuseAny(name, query, problem, { field, exempt = [] } = {}) {
  const shape = field === undefined ? { _id: 1 } : { _id: 1, value: `$${field}` };
  const stages = [{ $match: query }, ...without(exempt), { $limit: 5 }, { $project: shape }];
  const samples = db.getCollection(name).aggregate(stages).toArray();
  if (samples.length === 0) return;
  const count = countOf(name, query, exempt);
  throw new Error(
    `${count} documents of ${name} ${problem}: ${EJSON.stringify(samples)}`,
  );
}

function requireOrdinary(name) {
  const info = there(name);
  if (info === undefined) return;
  if (info.type !== "collection" || info.options.capped) {
    throw new Error(`${name} is no ordinary collection: its documents cannot be changed.`);
  }
}

// -- Asides: what is taken away is kept, copied by the server, so byte for byte.

// $merge, which copies, takes no document whose _id is null.
function requireCopyable(name) {
  if (there(name) === undefined) return;
  if (db.getCollection(name).findOne({ _id: { $type: "null" } }, { _id: 1 }) !== null) {
    throw new Error(
      `${name} has a document whose _id is null, which the server cannot copy aside. ` +
        "Run this revision with flask db-migrate instead.",
    );
  }
}

// A name that is free: by the rules of a normal run.
function asideName(base) {
  const taken = db.getCollectionInfos({ name: /^_aside_/ }).map((info) => info.name);
  const entered = ours("_aside_catalog").find({}, { _id: 1 }).toArray();
  for (const entry of entered) taken.push(entry._id);
  let name = base;
  for (let number = 2; taken.includes(name); number++) name = `${base}_${number}`;
  return name;
}

function enterAside(name, entry) {
  ours("_aside_catalog").updateOne(
    { _id: name },
    {
      $set: { ...current._id, ...entry, open: true },
      $currentDate: { created_at: true },
    },
    { upsert: true, writeConcern: DURABLE },
  );
  if (entry.holds !== "collection") ensureCollection(name);
}

function copyAside(name, batch, keep) {
  const query = keep.query === undefined ? batch : { $and: [batch, keep.query] };
  db.getCollection(name)
    .aggregate(
      [
        { $match: query },
        { $replaceWith: keep.entry },
        { $merge: { into: keep.aside, on: "_id", whenMatched: "replace" } },
      ],
      { writeConcern: DURABLE },
    )
    .toArray();
}

function isChanged(database, name, batch, keep) {
  const query = keep.query === undefined ? batch : { $and: [batch, keep.query] };
  const kept = { from: keep.aside, localField: "_id", foreignField: "_id", as: "kept" };
  const stages = [
    { $match: query },
    { $project: { entry: keep.entry } },
    { $lookup: kept },
    { $match: { $expr: { $ne: ["$entry", { $arrayElemAt: ["$kept", 0] }] } } },
    { $limit: 1 },
  ];
  return database.getCollection(name).aggregate(stages).toArray().length > 0;
}

// What the upgrade of this revision kept, newest step first.
function keptByUpgrade(verb, collection, field = "") {
  if (revision.direction === "upgrade") return [];
  const query = {
    revision: revision.id,
    direction: "upgrade",
    collection,
    field,
    verb,
    open: true,
  };
  const found = ours("_aside_catalog").find(query).sort({ step: -1 }).toArray();
  return found.map((entry) => entry._id);
}

// Put kept values back into the documents that `fits`: `put` makes the whole document.
// Both know the kept entry's fields as $$value, $$at and $$became.
function putBack(aside, name, { fits, put }) {
  keepLock();
  const kept = db.getCollection(aside);
  const variables = { value: "$value", at: "$at", became: "$became" };
  const fitting = {
    from: name,
    let: { id: "$_id", ...variables },
    pipeline: [
      { $match: { $expr: { $and: [{ $eq: ["$_id", "$$id"] }, fits] } } },
      { $project: { _id: 1 } },
    ],
    as: "found",
  };
  kept
    .aggregate([
      { $match: NOT_PUT_BACK },
      { $lookup: fitting },
      { $match: { found: { $ne: [] } } },
      { $project: { put_back: { $literal: 0 } } },
      { $merge: { into: aside, whenMatched: "merge", whenNotMatched: "discard" } },
    ])
    .toArray();
  kept
    .aggregate([
      { $match: { put_back: { $exists: true } } },
      {
        $merge: {
          into: name,
          let: variables,
          whenMatched: [{ $replaceWith: { $cond: [fits, put, "$$ROOT"] } }],
          whenNotMatched: "discard",
        },
      },
    ])
    .toArray();
  const left = kept.countDocuments(NOT_PUT_BACK);
  if (left) print(`     ${left} values were written over since: they stay in ${aside}`);
}

// When a revision is complete: empty asides go; after a downgrade, what it put back.
function settle() {
  const catalog = ours("_aside_catalog");
  const entries = catalog.find({ revision: revision.id, open: true }).toArray();
  for (const entry of entries) {
    const aside = db.getCollection(entry._id);
    const whole = entry.holds === "collection" && there(entry._id) !== undefined;
    if (revision.direction === "downgrade" && entry.holds !== "documents" && !whole) {
      aside.deleteMany({ put_back: { $exists: true } });
    }
    const empty = !whole && aside.findOne() === null;
    if (empty) {
      aside.drop();
      catalog.deleteOne({ _id: entry._id });
    } else if (revision.direction === "downgrade") {
      catalog.updateOne({ _id: entry._id }, { $set: { open: false } });
    }
  }
}

// -- Operations on collections and indexes: done again, they give the same.

function ensureCollection(name) {
  if (there(name) === undefined) db.createCollection(name);
}

function createCollection(name, options) {
  const info = there(name);
  if (info === undefined) {
    const [source] = keptByUpgrade("drop_collection", name);
    if (source !== undefined && there(source) !== undefined) {
      db.getCollection(source).renameCollection(name);
    } else {
      db.runCommand({ create: name, ...options, writeConcern: DURABLE });
    }
    return;
  }
  for (const option of Object.keys(options)) {
    const wanted = EJSON.stringify(options[option]);
    const found = EJSON.stringify(info.options[option]);
    if (option !== "size" && wanted !== found) {
      throw new Error(`${name} is there already, with ${option} ${found}, not ${wanted}.`);
    }
  }
}

function dropCollection(name, keep, base) {
  const info = there(name);
  if (info === undefined) {
    print(`     ${name} was not there`);
  } else if (!keep || info.type === "view") {
    db.getCollection(name).drop();
  } else {
    const aside = asideName(base);
    enterAside(aside, {
      verb: "drop_collection",
      holds: "collection",
      collection: name,
      field: "",
    });
    db.getCollection(name).renameCollection(aside);
  }
}

function renameCollection(name, newName) {
  if (there(name) === undefined) {
    print(`     ${name} was not there`);
  } else {
    db.getCollection(name).renameCollection(newName);
  }
}

function setValidator(name, options) {
  if (there(name) === undefined && Object.keys(options.validator).length === 0) {
    print(`     ${name} was not there`);
    return;
  }
  ensureCollection(name);
  db.runCommand({ collMod: name, ...options, writeConcern: DURABLE });
}

function createIndex(name, spec) {
  keepLock(24 * 60);
  db.runCommand({ createIndexes: name, indexes: [spec], writeConcern: DURABLE });
}

function dropIndex(name, index) {
  try {
    db.runCommand({ dropIndexes: name, index, writeConcern: DURABLE });
  } catch (error) {
    if (error.codeName !== "IndexNotFound" && error.codeName !== "NamespaceNotFound") throw error;
    print(`     ${name} had no index ${index}`);
  }
}

function insertAll(name, documents) {
  ensureCollection(name);
  for (let done = Number(current.documents); done < documents.length; done += 1000) {
    keepLock();
    const some = documents.slice(done, done + 1000);
    inTransaction((database) => {
      database.getCollection(name).insertMany(some);
      saveCheckpoint(database, {}, some.length);
    });
  }
}
