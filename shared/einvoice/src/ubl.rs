//! UBL 2.1 as Peppol BIS Billing 3.0 wants it: `Invoice` or `CreditNote`.
//!
//! Peppol adds rules to EN 16931: buyer and seller need an electronic address of the network, which a consumer
//! has not. For them the file is valid by EN 16931, and nobody would send it through Peppol.

use rust_decimal::Decimal;

use crate::cii::{charge, money, percent, transfer_code};
use crate::date::dashed;
use crate::model::{
    Direction, Exemption, Invoice, Kind, Line, Party, PostalAddress, Tax, TaxTotal,
};
use crate::xml::{Attributes, Xml};
use crate::{NotExpressible, expressible};

const CUSTOMIZATION: &str =
    "urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0";
const PROFILE: &str = "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0";
const CAC: (&str, &str) = (
    "xmlns:cac",
    "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
);
const CBC: (&str, &str) = (
    "xmlns:cbc",
    "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
);

/// The words in which an invoice and a credit note differ.
struct Words {
    root: &'static str,
    namespace: &'static str,
    type_code: &'static str,
    line: &'static str,
    quantity: &'static str,
}

const INVOICE: Words = Words {
    root: "Invoice",
    namespace: "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2",
    type_code: "cbc:InvoiceTypeCode",
    line: "cac:InvoiceLine",
    quantity: "cbc:InvoicedQuantity",
};

const CREDIT_NOTE: Words = Words {
    root: "CreditNote",
    namespace: "urn:oasis:names:specification:ubl:schema:xsd:CreditNote-2",
    type_code: "cbc:CreditNoteTypeCode",
    line: "cac:CreditNoteLine",
    quantity: "cbc:CreditedQuantity",
};

/// Writes an invoice or a credit note.
///
/// # Errors
/// See [`NotExpressible`].
pub fn write(invoice: &Invoice) -> Result<Vec<u8>, NotExpressible> {
    expressible(invoice)?;
    let words = match invoice.kind {
        Kind::Invoice => INVOICE,
        Kind::CreditNote => CREDIT_NOTE,
    };
    let namespaces = [("xmlns", words.namespace), CAC, CBC];
    let bytes = Xml::document(words.root, &namespaces, |xml| {
        head(xml, invoice, &words);
        xml.node("cac:AccountingSupplierParty", |xml| {
            party(xml, &invoice.seller);
        });
        xml.node("cac:AccountingCustomerParty", |xml| {
            party(xml, &invoice.buyer);
        });
        delivery(xml, invoice);
        payment(xml, invoice);
        let writer = Amounts(invoice);
        for adjustment in &invoice.adjustments {
            xml.node("cac:AllowanceCharge", |xml| {
                xml.leaf("cbc:ChargeIndicator", charge(adjustment.direction));
                xml.leaf("cbc:AllowanceChargeReason", &adjustment.reason);
                if let Some(of) = &adjustment.of {
                    xml.leaf("cbc:MultiplierFactorNumeric", &percent(of.percent));
                }
                writer.leaf(xml, "cbc:Amount", adjustment.amount);
                if let Some(of) = &adjustment.of {
                    writer.leaf(xml, "cbc:BaseAmount", of.base);
                }
                xml.node("cac:TaxCategory", |xml| category(xml, adjustment.tax, None));
            });
        }
        writer.taxes(xml);
        writer.totals(xml);
        for (line, number) in invoice.lines.iter().zip(1_usize..) {
            writer.line(xml, line, number, &words);
        }
    })?;
    Ok(bytes)
}

fn head(xml: &mut Xml, invoice: &Invoice, words: &Words) {
    xml.leaf("cbc:CustomizationID", CUSTOMIZATION);
    xml.leaf("cbc:ProfileID", PROFILE);
    xml.leaf("cbc:ID", &invoice.number);
    xml.leaf("cbc:IssueDate", &dashed(invoice.issued_on));
    // A credit note has no element for it.
    if let (Kind::Invoice, Some(due_on)) = (invoice.kind, invoice.payment.due_on) {
        xml.leaf("cbc:DueDate", &dashed(due_on));
    }
    xml.leaf(words.type_code, invoice.kind.code());
    // Peppol takes one note (PEPPOL-EN16931-R002).
    xml.leaf("cbc:Note", &invoice.notes.join("\n"));
    xml.leaf("cbc:DocumentCurrencyCode", invoice.currency.code());
    xml.leaf_if("cbc:BuyerReference", invoice.buyer_reference.as_deref());
    xml.node("cac:OrderReference", |xml| {
        xml.leaf("cbc:ID", &invoice.order_number);
    });
    if let Some(preceding) = &invoice.preceding {
        xml.node("cac:BillingReference", |xml| {
            xml.node("cac:InvoiceDocumentReference", |xml| {
                xml.leaf("cbc:ID", &preceding.number);
                xml.leaf("cbc:IssueDate", &dashed(preceding.issued_on));
            });
        });
    }
}

fn party(xml: &mut Xml, party: &Party) {
    xml.node("cac:Party", |xml| {
        if let Some(endpoint) = &party.endpoint {
            let scheme = [("schemeID", endpoint.scheme.as_str())];
            xml.leaf_with("cbc:EndpointID", &scheme, &endpoint.id);
        }
        if let Some(id) = &party.id {
            xml.node("cac:PartyIdentification", |xml| xml.leaf("cbc:ID", id));
        }
        xml.node("cac:PostalAddress", |xml| address(xml, &party.address));
        if let Some(vat_id) = &party.vat_id {
            xml.node("cac:PartyTaxScheme", |xml| {
                xml.leaf("cbc:CompanyID", vat_id);
                scheme(xml);
            });
        }
        xml.node("cac:PartyLegalEntity", |xml| {
            xml.leaf("cbc:RegistrationName", &party.name);
            xml.leaf_if("cbc:CompanyID", party.registration.as_deref());
        });
        if let Some(contact) = &party.contact {
            xml.node("cac:Contact", |xml| {
                xml.leaf_if("cbc:Name", contact.name.as_deref());
                xml.leaf_if("cbc:Telephone", contact.phone.as_deref());
                xml.leaf_if("cbc:ElectronicMail", contact.email.as_deref());
            });
        }
    });
}

fn address(xml: &mut Xml, address: &PostalAddress) {
    xml.leaf("cbc:StreetName", &address.line1);
    xml.leaf_if("cbc:AdditionalStreetName", address.line2.as_deref());
    xml.leaf("cbc:CityName", &address.city);
    xml.leaf_if("cbc:PostalZone", address.postcode.as_deref());
    xml.leaf_if("cbc:CountrySubentity", address.region.as_deref());
    xml.node("cac:Country", |xml| {
        xml.leaf("cbc:IdentificationCode", &address.country);
    });
}

fn delivery(xml: &mut Xml, invoice: &Invoice) {
    let delivery = &invoice.delivery;
    xml.node("cac:Delivery", |xml| {
        xml.leaf("cbc:ActualDeliveryDate", &dashed(delivery.on));
        xml.node("cac:DeliveryLocation", |xml| {
            xml.node("cac:Address", |xml| address(xml, &delivery.address));
        });
        xml.node("cac:DeliveryParty", |xml| {
            xml.node("cac:PartyName", |xml| xml.leaf("cbc:Name", &delivery.name));
        });
    });
}

fn payment(xml: &mut Xml, invoice: &Invoice) {
    let payment = &invoice.payment;
    if let Some(account) = &payment.account {
        xml.node("cac:PaymentMeans", |xml| {
            xml.leaf("cbc:PaymentMeansCode", transfer_code(invoice.currency));
            xml.leaf_if("cbc:PaymentID", payment.reference.as_deref());
            xml.node("cac:PayeeFinancialAccount", |xml| {
                xml.leaf("cbc:ID", &account.iban);
                xml.leaf_if("cbc:Name", account.holder.as_deref());
                if let Some(bic) = &account.bic {
                    xml.node("cac:FinancialInstitutionBranch", |xml| {
                        xml.leaf("cbc:ID", bic);
                    });
                }
            });
        });
    }
    if let Some(terms) = &payment.terms {
        xml.node("cac:PaymentTerms", |xml| xml.leaf("cbc:Note", terms));
    }
}

/// Writes what has amounts: each names its currency.
struct Amounts<'a>(&'a Invoice);

impl Amounts<'_> {
    fn leaf(&self, xml: &mut Xml, name: &str, amount: Decimal) {
        let text = money(amount, self.0.currency);
        self.text(xml, name, &text);
    }

    fn text(&self, xml: &mut Xml, name: &str, amount: &str) {
        xml.leaf_with(name, &[("currencyID", self.0.currency.code())], amount);
    }

    fn taxes(&self, xml: &mut Xml) {
        xml.node("cac:TaxTotal", |xml| {
            self.leaf(xml, "cbc:TaxAmount", self.0.totals.tax);
            for total in &self.0.taxes {
                let TaxTotal {
                    tax,
                    net,
                    amount,
                    exemption,
                } = total;
                xml.node("cac:TaxSubtotal", |xml| {
                    self.leaf(xml, "cbc:TaxableAmount", *net);
                    self.leaf(xml, "cbc:TaxAmount", *amount);
                    xml.node("cac:TaxCategory", |xml| {
                        category(xml, *tax, exemption.as_ref());
                    });
                });
            }
        });
    }

    fn totals(&self, xml: &mut Xml) {
        let totals = &self.0.totals;
        xml.node("cac:LegalMonetaryTotal", |xml| {
            self.leaf(xml, "cbc:LineExtensionAmount", totals.lines);
            self.leaf(xml, "cbc:TaxExclusiveAmount", totals.net);
            self.leaf(xml, "cbc:TaxInclusiveAmount", totals.gross);
            self.leaf(xml, "cbc:AllowanceTotalAmount", totals.allowances);
            self.leaf(xml, "cbc:ChargeTotalAmount", totals.charges);
            self.leaf(xml, "cbc:PrepaidAmount", totals.prepaid);
            self.leaf(xml, "cbc:PayableAmount", totals.payable);
        });
    }

    fn line(&self, xml: &mut Xml, line: &Line, number: usize, words: &Words) {
        let unit: Attributes<'_> = &[("unitCode", "C62")];
        xml.node(words.line, |xml| {
            xml.leaf("cbc:ID", &number.to_string());
            xml.leaf_with(words.quantity, unit, &line.quantity.to_string());
            self.leaf(xml, "cbc:LineExtensionAmount", line.net);
            for adjustment in &line.adjustments {
                self.line_adjustment(
                    xml,
                    adjustment.direction,
                    adjustment.amount,
                    &adjustment.reason,
                );
            }
            xml.node("cac:Item", |xml| {
                xml.leaf("cbc:Name", &line.name);
                xml.node("cac:SellersItemIdentification", |xml| {
                    xml.leaf("cbc:ID", &line.sku);
                });
                xml.node("cac:ClassifiedTaxCategory", |xml| {
                    category(xml, line.tax, None);
                });
            });
            xml.node("cac:Price", |xml| {
                self.text(xml, "cbc:PriceAmount", &line.unit_price.to_string());
            });
        });
    }

    fn line_adjustment(&self, xml: &mut Xml, direction: Direction, amount: Decimal, reason: &str) {
        xml.node("cac:AllowanceCharge", |xml| {
            xml.leaf("cbc:ChargeIndicator", charge(direction));
            xml.leaf("cbc:AllowanceChargeReason", reason);
            self.leaf(xml, "cbc:Amount", amount);
        });
    }
}

fn category(xml: &mut Xml, tax: Tax, exemption: Option<&Exemption>) {
    xml.leaf("cbc:ID", tax.category.code());
    xml.leaf("cbc:Percent", &percent(tax.percent));
    if let Some(exemption) = exemption {
        xml.leaf_if("cbc:TaxExemptionReasonCode", exemption.code.as_deref());
        xml.leaf("cbc:TaxExemptionReason", &exemption.text);
    }
    scheme(xml);
}

fn scheme(xml: &mut Xml) {
    xml.node("cac:TaxScheme", |xml| xml.leaf("cbc:ID", "VAT"));
}
