-- One row each: revision (commits that changed the corpus), generation (all commits readers must follow),
-- clock (the last moment given out, so that time never runs backwards).
create table counter (name text primary key, value) without rowid;
insert into counter values ('revision', 0), ('generation', 0), ('clock', 0.0);

create table source (
    name text primary key, root text not null, prefix text not null, kind text not null,
    access text not null, rules text not null
) without rowid;

-- A distinct set of access tags (sorted JSON list).
create table tagset (id integer primary key, tags text not null unique);
insert into tagset values (0, '[]');

-- A uri and how it stands now. `version` is the last number given out, `open` the row of the current version (0 = none).
-- `moved_to` is the item that a move carried its content to: its tags follow when those are tightened.
create table item (
    id integer primary key autoincrement, uri text not null unique, source text not null, state text not null,
    reason text not null default '', detail text not null default '', content_hash text not null default '',
    tagset integer not null references tagset, version integer not null default 0, open integer not null default 0,
    updated real not null, moved_to integer not null default 0
);
create index item_moved on item (moved_to) where moved_to > 0;

create table version (
    id integer primary key autoincrement, item integer not null references item, number integer not null,
    body integer not null references body, title text not null, media_type text not null, source text not null,
    metadata text not null, content_hash text not null, effective_at real, supersedes text not null,
    valid_from real not null, valid_to real,
    unique (item, number)
);
create index version_body on version (body);
create index version_source on version (source);
create index version_opened on version (valid_from);
create index version_closed on version (valid_to) where valid_to is not null;

-- Metadata of a version, for filters; the value as text.
create table attribute (
    key text not null, value text not null, version integer not null, primary key (key, value, version)
) without rowid;

-- The content of one or more successive versions. `version` is the open one (0 = none: it answers no more, for
-- good), `tagset` that of its item, `changed` the generation that last changed this row, so that readers follow.
create table body (
    id integer primary key autoincrement, version integer not null, tagset integer not null, changed integer not null,
    digest text not null, chars integer not null
);
create index body_changed on body (changed);
create table spans (body integer primary key, data blob not null);

-- 16,384 characters each, compressed.
create table text (
    body integer not null, part integer not null, data blob not null, primary key (body, part)
) without rowid;

-- `dropped` = 1: no longer an index, its rows are being deleted.
create table idx (
    id integer primary key autoincrement, name text not null unique, spec text not null, active integer not null,
    dropped integer not null default 0, analyzer integer not null, signs blob not null
);

-- That a body was cut for an index: its passages have the ids first .. first + passages - 1.
create table cut (
    idx integer not null, body integer not null, first integer not null, passages integer not null,
    digest text not null, primary key (idx, body)
) without rowid;

create table passage (
    id integer primary key autoincrement, idx integer not null, body integer not null, start integer not null,
    "end" integer not null, lead text not null, place text not null, embed_hash text not null, vector blob not null
);
create index passage_hash on passage (idx, embed_hash);

-- The searchable part of freshly written bodies, until it is merged into segments.
create table block (
    id integer primary key autoincrement, idx integer not null, body integer not null, first integer not null,
    passages integer not null, codes blob not null, lengths blob not null, postings blob not null
);
create index block_idx on block (idx, passages);

-- At most 65,536 passages sorted by (body, id), with sign bits and lengths; `history` = 1 holds those that were no
-- longer current when the segment was written. Postings are the rows first_page … of `page`.
create table segment (
    id integer primary key autoincrement, idx integer not null, history integer not null, passages integer not null,
    ids blob not null, bodies blob not null, codes blob not null, lengths blob not null,
    first_page integer not null, page_terms blob not null
);
create index segment_idx on segment (idx);
create table page (id integer primary key autoincrement, data blob not null);

create table stamp (
    uri text primary key, path text not null, size integer not null, mtime_ns integer not null,
    content_hash text not null
) without rowid;
