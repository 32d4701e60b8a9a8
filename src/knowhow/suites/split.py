"""Cuts a suite into train, dev and test by group, the same way every time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from knowhow.errors import UsageProblem
from knowhow.types import Example, Split, fingerprint

SHARES: Mapping[Split, float] = {Split.TRAIN: 0.4, Split.DEV: 0.2, Split.TEST: 0.4}


def split_suite(
    examples: Sequence[Example], shares: Mapping[Split, float] = SHARES, *, seed: int = 0
) -> tuple[Example, ...]:
    """The examples in their order, each with a split; a group is never torn.

    Examples that already have a split keep it, and so does everything added to their group: a suite that
    grows never moves an example from training to proof. New groups are drawn systematically: ordered by
    stratum (label, else whether to abstain, else first tag) and by a hash of seed and group within it, each
    goes to the split that is furthest below its share of examples. So every stratum is cut about as the
    whole is (implicit stratification; Lohr, Sampling: Design and Analysis, section 5.5).

    Raises `UsageProblem` where shares are not positive numbers that add up to 1, or where a group is torn already.
    """
    if any(share < 0 for share in shares.values()) or abs(sum(shares.values()) - 1) > 1e-6:
        given = ", ".join(f"{split} {share:g}" for split, share in shares.items())
        raise UsageProblem(f"the shares must be at least 0 and add up to 1, not {given}")
    members: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        members[example.group].append(example)
    placed = _placed(members)
    sizes: Counter[Split] = Counter()
    for group, split in placed.items():
        sizes[split] += len(members[group])
    free = (group for group in members if group not in placed)
    for group in sorted(free, key=lambda name: (_stratum(members[name]), fingerprint([seed, name]))):
        total = sum(sizes.values()) + len(members[group])
        placed[group] = max(shares, key=lambda split: (shares[split] > 0, shares[split] * total - sizes[split]))
        sizes[placed[group]] += len(members[group])
    return tuple(replace(example, split=placed[example.group]) for example in examples)


def _placed(members: Mapping[str, Sequence[Example]]) -> dict[str, Split]:
    """Groups that have a split already."""
    placed = {}
    for group, examples in members.items():
        splits = {example.split for example in examples if example.split is not None}
        if len(splits) > 1:
            raise UsageProblem(
                f'group "{group}" is in {" and ".join(sorted(splits))} already; '
                "give its examples one `split`, or none to have it drawn"
            )
        if splits:
            placed[group] = splits.pop()
    return placed


def _stratum(examples: Sequence[Example]) -> str:
    """What most members of a group are about; ties go to the first in the alphabet."""
    counts = Counter(_kind(example) for example in examples)
    return min(counts, key=lambda kind: (-counts[kind], kind))


def _kind(example: Example) -> str:
    if example.expect.label is not None:
        return example.expect.label
    if example.expect.abstain:
        return "abstain"
    return example.tags[0] if example.tags else ""
