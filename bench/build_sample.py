"""Writes the sample company's Word, Excel, PowerPoint and PDF files; the same bytes on every run.

Run it after changing the texts below: `python bench/build_sample.py`.
"""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

HOME = Path(__file__).resolve().parents[1] / "src" / "knowhow" / "sample" / "company"
FIXED = (2026, 1, 1, 0, 0, 0)

HANDBOOK: list[tuple[str, list[str]]] = [
    (
        "Working hours and leave",
        [
            "A full week has 38 hours. Everyone has 28 days of paid leave a year, part-timers in proportion.",
            "Ask for leave at least 3 weeks ahead; the shift lead answers within 4 working days. In December only "
            "two people of the workshop can be away at the same time.",
            "Up to 5 days can be carried over. They lapse on 31 March of the next year.",
        ],
    ),
    (
        "When you are ill",
        [
            "Call your lead before 8:30 on the first day. A doctor's note is needed from the third day on.",
            "Pay goes on in full for 6 weeks. A sick child under 12 gives you up to 10 days a year with pay.",
        ],
    ),
    (
        "Learning and tools",
        [
            "Everyone has 900 euros a year for training, and the days of the course count as work. Training above "
            "that sum is decided by Tobias Achterberg.",
            "Technicians receive a tool allowance of 150 euros each January. What it buys belongs to them.",
        ],
    ),
    (
        "Buying our devices",
        [
            "After the trial period of 4 months you get 25 percent off refurbished devices, twice a year. Repairs of "
            "your own devices after hours are free; you pay for the parts.",
        ],
    ),
    (
        "Travel",
        [
            "Take the train. Second class is paid in full, first class from 3 hours on. Driving your own car is paid "
            "with 0.30 euros a kilometre. Hotels may cost up to 110 euros a night.",
        ],
    ),
    (
        "Leaving",
        [
            "During the trial period either side gives 2 weeks' notice, afterwards 2 months to the end of a month. "
            "Keys, phone and the yellow jacket come back on the last day.",
        ],
    ),
]

NOTICE = [("Trial period", "2 weeks"), ("Up to 5 years", "2 months"), ("From 5 years", "3 months")]

REPAIRS = [
    ("Device", "Repair", "Price EUR", "Hours", "Part", "Remark"),
    ("Laptop 14 inch", "Battery", 89, 0.5, "BAT-L14", ""),
    ("Laptop 15 inch", "Battery", 95, 0.5, "BAT-L15", "check the batch first"),
    ("Laptop", "Keyboard", 119, 1.5, "KEY-DE", ""),
    ("Laptop", "Fan and thermal paste", 69, 1, "FAN-45, PAS-7", ""),
    ("Laptop", "Solid-state drive 512 GB", 99, 1, "SSD-512", "moving data 40 more"),
    ("Laptop", "Charging port", 79, 1.5, "USB-C1", ""),
    ("Phone 6 inch", "Screen", 139, 0.75, "SCR-P6", ""),
    ("Phone 6 inch", "Battery", 49, 0.5, "BAT-P6", ""),
    ("Phone", "Water damage", 60, 1.5, "", "cleaning only, no promise"),
    ("Tablet 10 inch", "Glass", 109, 2, "SCR-T10", ""),
    ("Coffee machine", "Descaling and seals", 75, 1, "", ""),
    ("Record player", "Belt and stylus", 55, 1, "", ""),
]

DEVICES = [
    ("Article", "Model", "Grade", "Price EUR", "In stock", "Site"),
    ("R-1001", "Corvid 14 laptop, 16 GB, 512 GB", "A", 489, 6, "Harbour shop"),
    ("R-1002", "Corvid 14 laptop, 16 GB, 512 GB", "B", 429, 11, "Harbour shop"),
    ("R-1003", "Corvid 14 laptop, 8 GB, 256 GB", "C", 279, 3, "Mill Lane"),
    ("R-1010", "Heron 15 laptop, 32 GB, 1 TB", "A", 749, 2, "Harbour shop"),
    ("R-2001", "Finch 6 phone, 128 GB", "A", 249, 14, "Harbour shop"),
    ("R-2002", "Finch 6 phone, 128 GB", "B", 209, 9, "Harbour shop"),
    ("R-3001", "Plover 10 tablet, 64 GB", "B", 159, 7, "Harbour shop"),
    ("R-4001", "Kettle with temperature control", "B", 24, 5, "Harbour shop"),
]

SLIDES = [
    (
        "Welcome to Second Spark",
        ["Your first week at a glance", "Your guide in the first month is a colleague, not your lead"],
    ),
    (
        "Day one",
        [
            "9:00 tour of Mill Lane with Noor Haddad: exits, fire blankets, sand box S2",
            "10:30 keys, yellow jacket and locker from Elif Demir",
            "13:00 watch an intake at the Harbour shop",
        ],
    ),
    (
        "Grades",
        [
            "A: looks like new, battery at least 85 percent",
            "B: light signs of use, battery at least 80 percent",
            "C: scratches or dents, works fully",
            "D: for parts only, is never sold",
        ],
    ),
    (
        "Before you may repair alone",
        [
            "Battery safety test: at least 18 of 20 points",
            "Ten supervised repairs, signed by a senior technician",
            "Electrostatic training, repeated every 2 years",
        ],
    ),
]

BATTERIES = [
    (
        "Battery safety",
        [
            "Version 4, in force since 2 February 2026. Responsible: Noor Haddad, extension 17.",
            "",
            "1. Storage",
            "Lithium batteries are stored at 15 to 25 degrees Celsius and charged to between 30 and 50 percent.",
            "New batteries lie in the steel cabinet on the ground floor. At most 200 batteries may be in the building.",
            "Batteries older than 18 months are tested again before they are fitted.",
        ],
    ),
    (
        "2. Damaged and swollen batteries",
        [
            "A swollen battery is never pierced, pressed, charged or sent by air.",
            "Put it into sand box S2 next to the loading door, close the lid, and write the time on the board.",
            "It stays there for 48 hours. Afterwards Noor Haddad hands it to the recycler, who comes every second",
            "Wednesday. A damaged battery travels by road only, in the red drum, with the UN 3480 label.",
        ],
    ),
    (
        "3. Fire",
        [
            "Leave the room, close the door, press the alarm, call 112. Then call Noor Haddad.",
            "A battery that burns alone on a bench may be covered with sand by two trained people. Never use the",
            "powder extinguisher: it does not cool the cells.",
            "The meeting point is the car park of the fish market. The shift lead counts the people.",
            "",
            "4. Afterwards",
            "Write the incident report within 24 hours. The room stays closed until Noor Haddad opens it.",
        ],
    ),
]


def docx() -> bytes:
    from docx import Document

    document = Document()
    document.core_properties.title = "Employee handbook"
    document.add_heading("Employee handbook", 0)
    document.add_paragraph("Valid from 1 January 2026. Questions go to Elif Demir.")
    for heading, paragraphs in HANDBOOK:
        document.add_heading(heading, 1)
        for paragraph in paragraphs:
            document.add_paragraph(paragraph)
    table = document.add_table(rows=1, cols=2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "Time with us", "Notice we give"
    for left, right in NOTICE:
        cells = table.add_row().cells
        cells[0].text, cells[1].text = left, right
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def xlsx() -> bytes:
    from openpyxl import Workbook

    book = Workbook()
    book.properties.title = "Price list 2026"
    first = book.active
    assert first is not None
    first.title = "Repairs"
    for row in REPAIRS:
        first.append(row)
    second = book.create_sheet("Refurbished")
    for row in DEVICES:
        second.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def pptx() -> bytes:
    from pptx import Presentation

    deck = Presentation()
    deck.core_properties.title = "First week"
    for title, points in SLIDES:
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        frame = slide.placeholders[1].text_frame
        frame.text = points[0]
        for point in points[1:]:
            frame.add_paragraph().text = point
    out = io.BytesIO()
    deck.save(out)
    return out.getvalue()


def pdf() -> bytes:
    """A PDF of one page per section, written by hand so that its bytes never change."""
    pages = len(BATTERIES)
    bodies = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {pages} /Kids [{' '.join(f'{4 + 2 * i} 0 R' for i in range(pages))}] >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, (title, lines) in enumerate(BATTERIES, 1):
        content = ["BT", "/F1 18 Tf", "60 780 Td", f"({_escaped(title)}) Tj", "/F1 11 Tf", "0 -14 Td"]
        for line in lines:
            content += ["0 -16 Td", f"({_escaped(line)}) Tj"]
        content += ["ET", "BT", "/F1 9 Tf", "60 40 Td", f"(Second Spark - page {number} of {pages}) Tj", "ET"]
        stream = "\n".join(content)
        box = "/MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >>"
        bodies.append(f"<< /Type /Page /Parent 2 0 R {box} /Contents {4 + 2 * number - 1} 0 R >>")
        bodies.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    bodies.append("<< /Title (Battery safety) /CreationDate (D:20260202080000Z) >>")
    out = "%PDF-1.4\n"
    offsets = []
    for number, body in enumerate(bodies, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(bodies) + 1}\n0000000000 65535 f \n"
    out += "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    info = len(bodies)
    out += f"trailer\n<< /Size {info + 1} /Root 1 0 R /Info {info} 0 R >>\nstartxref\n{start}\n%%EOF\n"
    return out.encode("latin-1")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def steady(archive: bytes) -> bytes:
    """The same archive with fixed times and no preview picture, so that equal contents give equal bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            body = old.read(name)
            if name == "docProps/core.xml":
                body = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", b"2026-01-01T00:00:00Z", body)
            if name == "_rels/.rels":
                body = re.sub(rb"<Relationship [^>]*thumbnail[^>]*/>", b"", body)
            if name != "docProps/thumbnail.jpeg":
                new.writestr(zipfile.ZipInfo(name, FIXED), body, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def main() -> None:
    made = {
        "handbook/employee-handbook.docx": steady(docx()),
        "shop/price-list.xlsx": steady(xlsx()),
        "handbook/first-week.pptx": steady(pptx()),
        "workshop/battery-safety.pdf": pdf(),
    }
    for name, body in made.items():
        path = HOME / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        print(f"{name}: {len(body)} bytes")


if __name__ == "__main__":
    main()
