"""Reads every PDF of a folder with readers that others wrote: qpdf (as pikepdf) and PDFium.

Prints one JSON object: file name -> what they found.
"""

import json
import sys
from pathlib import Path

import pikepdf
import pypdfium2
from lxml import etree

NS = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "pdfaid": "http://www.aiim.org/pdfa/ns/id/",
    "pdfaSchema": "http://www.aiim.org/pdfa/ns/schema#",
    "pdfaProperty": "http://www.aiim.org/pdfa/ns/property#",
    "fx": "urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#",
}


def fonts(pdf):
    for page in pdf.pages:
        for font in page.resources.get("/Font", {}).values():
            for descendant in font.get("/DescendantFonts", [font]):
                descriptor = descendant.get("/FontDescriptor", {})
                embedded = any(k in descriptor for k in ("/FontFile", "/FontFile2", "/FontFile3"))
                yield str(descendant.BaseFont), embedded, "/ToUnicode" in font


def metadata(pdf):
    xmp = etree.fromstring(pdf.Root.Metadata.read_bytes())
    one = lambda path: (xmp.xpath(path, namespaces=NS) or [None])[0]
    declared = "//rdf:li[pdfaSchema:prefix='fx']//pdfaProperty:name/text()"
    return {
        "part": one("//pdfaid:part/text()"),
        "conformance": one("//pdfaid:conformance/text()"),
        "fx": {e.tag.split("}")[1]: e.text for e in xmp.xpath("//fx:*", namespaces=NS)},
        "declared": sorted(xmp.xpath(declared, namespaces=NS)),
    }


def attachments(pdf):
    found = {}
    for spec in pdf.Root.get("/AF", []):
        stream = spec.EF.F
        found[str(spec.UF)] = {
            "relationship": str(spec.AFRelationship),
            "type": str(stream.Subtype),
            "text": stream.read_bytes().decode(),
        }
    assert sorted(found) == sorted(pdf.attachments), "/AF and the name tree differ"
    return found


def look(path):
    with pikepdf.open(path) as pdf:
        found = {
            "faults": [str(fault) for fault in pdf.check_pdf_syntax()],
            "version": pdf.pdf_version,
            "fonts": sorted(set(fonts(pdf))),
            "intents": [str(i.S) for i in pdf.Root.get("/OutputIntents", [])],
            "attachments": attachments(pdf),
            **metadata(pdf),
        }
    pdf = pypdfium2.PdfDocument(path)
    found["pages"] = [page.get_textpage().get_text_bounded() for page in pdf]
    return found


print(json.dumps({p.name: look(p) for p in sorted(Path(sys.argv[1]).glob("*.pdf"))}))
