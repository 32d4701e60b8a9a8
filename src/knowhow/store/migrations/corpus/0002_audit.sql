-- One row per change of one uri, nothing of its content; kept when the document is erased. `tagset` are the tags it
-- demanded then: they decide who may see the row once the item is gone.
create table audit (
    id integer primary key autoincrement, at real not null, action text not null, uri text not null,
    before integer not null, after integer not null, source text not null, by text not null,
    other text not null, detail text not null, tagset integer not null references tagset
);
create index audit_uri on audit (uri);
create index audit_at on audit (at);
create index audit_other on audit (other) where other <> '';
