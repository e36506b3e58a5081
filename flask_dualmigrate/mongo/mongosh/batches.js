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
