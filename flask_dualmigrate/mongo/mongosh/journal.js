// ---- What every script of this kind has; the revisions follow below. ----

const BY = "mongosh";
const HOST = require("os").hostname();
const DURABLE = { w: "majority", j: true };
const TOUCHED = "_migrations_touched";
const NOT_PUT_BACK = { put_back: { $exists: false } };

const ours = (name) => db.getCollection(name);
const there = (name) => db.getCollectionInfos({ name })[0];
const entriesOf = ({ id, direction }) => ({ "_id.revision": id, "_id.direction": direction });

// The documents after `last` and up to `until`, of any type; both may be missing.
function within({ last, until }) {
  const tests = [];
  if (last !== undefined) tests.push({ $gt: ["$_id", { $literal: last }] });
  if (until !== undefined) tests.push({ $lte: ["$_id", { $literal: until }] });
  return { $expr: { $and: tests } };
}

// -- The lock: the lease that a normal run takes. Who waits for it watches the renewals.

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
  const mark = {
    owner,
    token: { $add: ["$token", 1] },
    since: "$$NOW",
    user: BY,
    host: { $literal: HOST },
    pid: process.pid,
    mark: null,
    lease_s: 600,
    beats: 0,
    expires_at: inMinutes(10),
  };
  const take = (held) =>
    locks.findOneAndUpdate({ _id: "lock", ...held }, [{ $set: mark }], {
      returnDocument: "after",
      writeConcern: DURABLE,
    });
  let lock = take({ owner: null });
  const overdue = { _id: "lock", $expr: { $lte: ["$expires_at", "$$NOW"] } };
  const silent = lock === null ? locks.findOne(overdue) : null;
  if (silent !== null) {
    // The server's clock may have been set: it is taken if it is not renewed meanwhile.
    const seconds = silent.lease_s ?? 30;
    print(`The lease of ${silent.user}@${silent.host} is over: watching it for ${seconds} s.`);
    sleep(seconds * 1000);
    const { owner: former, beats = null, expires_at } = silent;
    lock = take({ owner: former, beats, expires_at });
  }
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
    {
      $set: {
        expires_at: inMinutes(minutes),
        lease_s: minutes * 60,
        beats: { $add: [{ $ifNull: ["$beats", 0] }, 1] },
      },
    },
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
  const left = { "_id.revision": { $in: ids }, "_id.left": { $exists: true } };
  if (ours(TOUCHED).findOne(left) !== null) {
    throw new Error(
      "An undoing left documents that were changed since, which the next run has to leave " +
        "out. Run these revisions with flask db-migrate instead.",
    );
  }
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
  const steps = ours("_migrations_steps").findOne(entriesOf(revision));
  if (plan.direction === "upgrade" && steps === null) {
    // What an earlier upgrade kept, before a stamp, is for people.
    const kept = { revision: revision.id, direction: "upgrade", open: true };
    ours("_aside_catalog").updateMany(kept, { $set: { open: false } });
  }
  print(`${revision.direction} ${revision.id}  ${revision.description}`);
  ours("_migrations").updateOne({ _id: revision.id }, begun(revision), {
    upsert: true,
    writeConcern: DURABLE,
  });
  const meta = ours("_migrations_meta");
  meta.updateOne(
    { _id: "history" },
    { $set: { has_entries: true } },
    { upsert: true, writeConcern: DURABLE },
  );
  const unused = { _id: "pair", unused: true }; // by now it is used
  meta.updateOne(unused, { $unset: { unused: "" } }, { writeConcern: DURABLE });
}

function finishRevision() {
  keepLock();
  settle();
  inTransaction((database) => {
    database.getCollection("_migrations").updateOne({ _id: revision.id }, ended);
    database.getCollection("_migrations_steps").deleteMany(entriesOf(revision));
  });
  ours(TOUCHED).deleteMany(entriesOf(revision));
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

function saveCheckpoint(database, checkpoint, documents, batches = 0) {
  database
    .getCollection("_migrations_steps")
    .updateOne(
      { _id: current._id },
      { $set: { checkpoint, token }, $inc: { documents, batches } },
    );
}
