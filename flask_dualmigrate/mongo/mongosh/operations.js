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
  if (!["collection", "view"].includes(entry.holds)) ensureCollection(name);
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

// Remember which documents lack a field that is dropped: no downgrade gives it. Where the
// walk that follows copies a value aside, it takes the place of the mark.
function keepLacking(aside, name, query, size, mark) {
  if ((current.checkpoint.phase || 0) > 0) return;
  for (let from = {}; ; ) {
    keepLock();
    const ids = idsOf(db, name, { $and: [within(from), query] }, size);
    if (ids.length === 0) break;
    const until = ids[ids.length - 1];
    db.getCollection(name)
      .aggregate(
        [
          { $match: { $and: [within({ ...from, until }), query] } },
          { $replaceWith: { $mergeObjects: [{ _id: "$_id" }, { $literal: mark }] } },
          { $merge: { into: aside, on: "_id", whenMatched: "keepExisting" } },
        ],
        { writeConcern: DURABLE },
      )
      .toArray();
    from = { last: until };
  }
  leave(0);
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

const EVERY_TYPE = [
  ...["double", "string", "object", "array", "binData", "undefined", "objectId", "bool"],
  ...["date", "null", "regex", "dbPointer", "javascript", "symbol", "javascriptWithScope"],
  ...["int", "timestamp", "long", "decimal", "minKey", "maxKey"],
];

// The types that a downgrade converts. What an upgrade with on_error="keep" left alone is
// of another type than it made, and stays as it is.
function typesToConvert(sources) {
  const entries = ours("_aside_catalog").find({ _id: { $in: sources } }).toArray();
  if (!entries.some((entry) => entry.on_error === "keep")) return EVERY_TYPE;
  return entries.filter((entry) => "to" in entry).map((entry) => entry.to);
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
      { $match: { put_back: { $gte: 0 } } },
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
    const whole = ["collection", "view"].includes(entry.holds) && there(entry._id) !== undefined;
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

// MongoDB cannot rename a view: it is made again, of the same definition.
function move(name, newName) {
  const info = there(name);
  if (info.type === "view") {
    db.runCommand({ create: newName, ...info.options, writeConcern: DURABLE });
    db.getCollection(name).drop();
  } else {
    db.getCollection(name).renameCollection(newName);
  }
}

function createCollection(name, options) {
  const info = there(name);
  if (info === undefined) {
    const [source] = keptByUpgrade("drop_collection", name);
    if (source !== undefined && there(source) !== undefined) {
      move(source, name);
    } else {
      db.runCommand({ create: name, ...options, writeConcern: DURABLE });
    }
    return;
  }
  for (const source of keptByUpgrade("drop_collection", name)) {
    if (there(source) !== undefined) {
      print(`     ${name} is there already: the former one stays in ${source}`);
    }
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
  } else if (!keep || (info.type === "view" && revision.direction === "downgrade")) {
    db.getCollection(name).drop();
  } else {
    const aside = asideName(base);
    enterAside(aside, {
      verb: "drop_collection",
      holds: info.type === "view" ? "view" : "collection",
      collection: name,
      field: "",
    });
    move(name, aside);
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
      saveCheckpoint(database, {}, some.length, 1);
    });
  }
}
