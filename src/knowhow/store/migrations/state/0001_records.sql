create table tagset (id integer primary key, tags text not null unique);

create table record (
    id integer primary key, kind text not null, name text not null, at real not null, parent text not null,
    tagset integer not null references tagset, uris text not null, body text not null, unique (kind, name)
);
create index record_time on record (kind, at, name);
create index record_parent on record (parent, kind, at, name) where parent <> '';

-- Which documents a record quotes.
create table mention (uri text not null, record integer not null, primary key (uri, record)) without rowid;
create index mention_record on mention (record);
