"""The tables of speed.py as Markdown."""

import speed_gates

# (heading, figure, digits) of each kind of row.
_COLUMNS = {
    "transfer": [("Mbit/s", "mbit", 1), ("CPU s/GB", "cpu_per_gb", 2), ("machine s/GB", "machine_per_gb", 2),
                 ("peak MB", "peak_mb", 0)],
    "fairness": [("RTT p50 ms", "rtt_p50", 1), ("RTT p99 ms", "rtt_p99", 1), ("line, alone, Mbit/s", "line_mbit", 2),
                 ("CUBIC gets Mbit/s", "cubic_mbit", 2), ("line, both, Mbit/s", "both_mbit", 2)],
    "messages": [("p50 ms", "p50", 1), ("p90 ms", "p90", 1), ("p99 ms", "p99", 1), ("max ms", "max", 1),
                 ("file Mbit/s", "bulk_mbit", 1)],
    "memory": [("bytes, sender", "sender_bytes", 0), ("bytes, receiver", "receiver_bytes", 0)],
}


def _cell(value, digits):
    return "" if value is None else f"{value:,.{digits}f}"


def _notes(row, name, measurements, results):
    mine = [each for each in measurements if (each.row, each.name) == (row.name, name)]
    notes = []
    if failed := [each for each in mine if each.problem]:
        notes.append(f"{len(failed)} of {len(mine)} runs failed: {failed[-1].problem}")
    if disturbed := [each for each in mine if each.foreign > 0.10 or not each.idle]:
        notes.append(f"{len(disturbed)} of {len(mine)} runs disturbed")
    sent, lost = (results.median(row.name, name, key) for key in ("packets_sent", "packets_lost"))
    if sent and lost is not None:
        notes.append(f"{lost / sent:.2%} counted as lost")
    carried, dropped = (results.median(row.name, name, key) for key in ("line_packets", "line_dropped"))
    if carried and row.kind == "transfer":
        notes.append(f"line dropped {dropped / carried:.2%}")
    return "; ".join(notes)


def _spread(values, digits):
    if len(values) < 2:
        return ""
    return f" ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def row_table(row, measurements, absent):
    results = speed_gates.Results(measurements)
    columns = _COLUMNS[row.kind]
    ours = next((name for name in results.names(row.name) if name.startswith("pinhole")), None)
    lines = [f"### {row.name}: {row.title}", ""]
    headings = ["who", *(heading for heading, _, _ in columns)] + (["ours / theirs"] if row.kind == "transfer" else [])
    lines += ["| " + " | ".join([*headings, "notes"]) + " |", "|" + "---|" * (len(headings) + 1)]
    names = list(dict.fromkeys(each.name for each in measurements if each.row == row.name))
    for name in names:
        cells = [name]
        for index, (_, key, digits) in enumerate(columns):
            spread = _spread(results.values(row.name, name, key), digits) if index == 0 else ""
            cells.append(_cell(results.median(row.name, name, key), digits) + spread)
        if row.kind == "transfer":
            mine, theirs = results.median(row.name, ours, "mbit"), results.median(row.name, name, "mbit")
            cells.append(_cell(mine / theirs, 2) if mine and theirs else "")
        lines.append("| " + " | ".join([*cells, _notes(row, name, measurements, results)]) + " |")
    lines += [f"\n{name} is left out: {reason}." for name, reason in absent.items()]
    return "\n".join(lines) + "\n"


def gate_table(measurements, rows):
    """Of these rows, and whatever else can be told."""
    results = speed_gates.Results(measurements)
    lines = ["### Gates", "", "| row | what | figure | gate | stretch | |", "|---|---|---|---|---|---|"]
    for gate in speed_gates.GATES:
        found = gate.verdict(results)
        if found is None and gate.row not in rows:
            continue
        sign = "≤" if gate.most else "≥"
        bound = f"{sign} {gate.bound:.4g}" if 0 < gate.bound < 1e9 else ""
        stretch = f"{sign} {gate.stretch:.4g}" if gate.stretch is not None else ""
        figure, verdict = (f"{found[0]:.2f}", _word(gate, found[1])) if found else ("", "not measured")
        lines.append(f"| {gate.row} | {gate.text} | {figure} | {bound} | {stretch} | {verdict} |")
    return "\n".join(lines) + "\n"


def _word(gate, verdict):
    only_stretch = not 0 < gate.bound < 1e9
    if verdict == "held" and only_stretch:
        return "stretch missed"
    return {"held": "held", "stretch": "held, and the stretch", "missed": "**missed**"}[verdict]

