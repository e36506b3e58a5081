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

// Walk a collection in the order of _id, on from the checkpoint, and write each document
// once, those too that the app inserts behind the walk. write(database, query) does one
// batch. keep: { aside, entry, query }: what is copied aside first. details: of a
// document, what a normal run would need to undo it.
function eachOnce(name, query, size, write, how = {}) {
  const { phase = 0, keep, exempt = [], details = null } = how;
  if ((current.checkpoint.phase || 0) > phase) return;
  const options = { phase, keep, exempt, remember: { details } };
  db.runCommand({
    createIndexes: TOUCHED,
    indexes: [{ key: { of: 1 }, name: "of", sparse: true }],
    writeConcern: DURABLE,
  });
  passOver(name, query, size, write, options);
  for (let round = 0; round < 10; round++) {
    const late = catchUp(name, query, size, write, options);
    if (late + passOver(name, query, size, write, options) === 0) break;
  }
  leave(phase);
}

// Walk again and again, for what the app wrote meanwhile, until `left` matches none.
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

function passOver(name, query, size, write, options) {
  const { phase, exempt } = options;
  let written = 0;
  for (;;) {
    keepLock();
    const started = current.checkpoint.phase === phase && "last" in current.checkpoint;
    const from = started ? { last: current.checkpoint.last } : {};
    const ids = idsOf(db, name, { $and: [within(from), query] }, size, exempt);
    if (ids.length === 0) return written;
    const reach = { ...from, until: ids[ids.length - 1] };
    const which = exempt.length ? { _id: { $in: ids } } : within(reach);
    const checkpoint = { phase, round: 0, last: reach.until };
    const batch = { $and: [which, query] };
    written += writeBatch(name, batch, write, checkpoint, options, { reach }) || 0;
  }
}

// Write what stands in the ranges of the walk's batches, and was not seen by them.
function catchUp(name, query, size, write, options) {
  let written = 0;
  const walked = { ...entriesOf(revision), "_id.step": current._id.step };
  const batches = ours(TOUCHED).find({ ...walked, reach: { $exists: true } }).sort({ _id: 1 });
  for (const { _id: of, reach } of batches.toArray()) {
    for (;;) {
      keepLock();
      const entries = ours(TOUCHED).find({ $or: [{ _id: of }, { of }] }).toArray();
      const seen = entries.flatMap((entry) => entry.ids);
      const late = { $and: [within(reach), query, { _id: { $nin: seen } }] };
      const ids = idsOf(db, name, late, size, options.exempt);
      if (ids.length === 0) break;
      const batch = { $and: [{ _id: { $in: ids } }, query] };
      written += writeBatch(name, batch, write, current.checkpoint, options, { of }) || 0;
    }
  }
  return written;
}

// Do one batch in a transaction. Returns how many documents it was; undefined where the
// app wrote to them meanwhile, so that they have to be copied aside again.
function writeBatch(name, batch, write, checkpoint, { keep, remember }, place) {
  if (keep !== undefined) copyAside(name, batch, keep);
  const count = inTransaction((database) => {
    if (keep !== undefined && isChanged(database, name, batch, keep)) return undefined;
    const ids = idsOf(database, name, batch);
    if (remember !== undefined) touch(database, name, ids, remember, place);
    write(database, batch);
    saveCheckpoint(database, checkpoint, ids.length, 1);
    return ids.length;
  });
  if (count === undefined) return undefined;
  current.checkpoint = checkpoint;
  current.batches += 1;
  return count;
}

// Remember which documents a batch writes, as a normal run does.
function touch(database, name, ids, { details }, place) {
  let found = [];
  if (details !== null) {
    const query = [{ $match: { _id: { $in: ids } } }, { $sort: { _id: 1 } }];
    const shape = { $project: { detail: details } };
    found = database.getCollection(name).aggregate([...query, shape]).toArray();
  }
  database.getCollection(TOUCHED).insertOne({
    _id: { ...current._id, batch: current.batches, part: 0 },
    details: found.map((document) => document.detail),
    ...place,
    ids,
  });
}

function idsOf(database, name, query, size = null, exempt = []) {
  const stages = [{ $match: query }, { $sort: { _id: 1 } }, { $project: { _id: 1 } }];
  const limit = size === null ? [] : [{ $limit: size }];
  const found = database
    .getCollection(name)
    .aggregate([...stages, ...without(exempt), ...limit])
    .toArray();
  return found.map((document) => unchanged(document._id));
}

// JavaScript moves the names that are whole numbers to the front of a document.
function unchanged(id, whole = id) {
  // Of another realm than this script: Object.prototype is not theirs.
  const isDocument = Object.prototype.toString.call(id) === "[object Object]";
  if (!isDocument || id._bsontype !== undefined) return id;
  const names = Object.keys(id);
  if (names.length > 1 && names.some((each) => /^\d+$/.test(each))) {
    throw new Error(
      `The _id ${EJSON.stringify(whole)} has a field whose name is a whole number, which ` +
        "JavaScript cannot keep in its place. Run this revision with flask db-migrate instead.",
    );
  }
  for (const each of names) unchanged(id[each], whole);
  return id;
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
