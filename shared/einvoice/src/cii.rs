//! UN/CEFACT Cross Industry Invoice, profile EN 16931: what Factur-X and ZUGFeRD call `factur-x.xml`.
//!
//! The order of elements is the schema's. Element names come with their business term where it is not plain.

use rust_decimal::Decimal;
use steelyard_domain::money::Currency;

use crate::date::packed;
use crate::model::{
    Adjustment, Direction, Invoice, Kind, Line, LineAdjustment, Party, PostalAddress, Tax, TaxTotal,
};
use crate::xml::{Attributes, Xml};
use crate::{NotExpressible, expressible};

/// The name that the attachment must have in the PDF.
pub const FILE_NAME: &str = "factur-x.xml";
/// The conformance level in the PDF's metadata.
pub const CONFORMANCE_LEVEL: &str = "EN 16931";
const GUIDELINE: &str = "urn:cen.eu:en16931:2017";
const NAMESPACES: Attributes<'static> = &[
    (
        "xmlns:rsm",
        "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100",
    ),
    (
        "xmlns:ram",
        "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
    ),
    (
        "xmlns:qdt",
        "urn:un:unece:uncefact:data:standard:QualifiedDataType:100",
    ),
    (
        "xmlns:udt",
        "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100",
    ),
];
const DAY: Attributes<'static> = &[("format", "102")];

/// Writes an invoice or a credit note.
///
/// # Errors
/// See [`NotExpressible`].
pub fn write(invoice: &Invoice) -> Result<Vec<u8>, NotExpressible> {
    expressible(invoice)?;
    let bytes = Xml::document("rsm:CrossIndustryInvoice", NAMESPACES, |xml| {
        xml.node("rsm:ExchangedDocumentContext", |xml| {
            xml.node("ram:GuidelineSpecifiedDocumentContextParameter", |xml| {
                xml.leaf("ram:ID", GUIDELINE);
            });
        });
        xml.node("rsm:ExchangedDocument", |xml| {
            xml.leaf("ram:ID", &invoice.number);
            xml.leaf("ram:TypeCode", invoice.kind.code());
            xml.node("ram:IssueDateTime", |xml| {
                xml.leaf_with("udt:DateTimeString", DAY, &packed(invoice.issued_on));
            });
            for note in &invoice.notes {
                xml.node("ram:IncludedNote", |xml| xml.leaf("ram:Content", note));
            }
        });
        xml.node("rsm:SupplyChainTradeTransaction", |xml| {
            for (line, number) in invoice.lines.iter().zip(1_usize..) {
                write_line(xml, line, number, invoice.currency);
            }
            agreement(xml, invoice);
            delivery(xml, invoice);
            settlement(xml, invoice);
        });
    })?;
    Ok(bytes)
}

fn write_line(xml: &mut Xml, line: &Line, number: usize, currency: Currency) {
    xml.node("ram:IncludedSupplyChainTradeLineItem", |xml| {
        xml.node("ram:AssociatedDocumentLineDocument", |xml| {
            xml.leaf("ram:LineID", &number.to_string());
        });
        xml.node("ram:SpecifiedTradeProduct", |xml| {
            xml.leaf("ram:SellerAssignedID", &line.sku);
            xml.leaf("ram:Name", &line.name);
        });
        xml.node("ram:SpecifiedLineTradeAgreement", |xml| {
            xml.node("ram:NetPriceProductTradePrice", |xml| {
                xml.leaf("ram:ChargeAmount", &line.unit_price.to_string());
            });
        });
        xml.node("ram:SpecifiedLineTradeDelivery", |xml| {
            let pieces = line.quantity.to_string();
            xml.leaf_with("ram:BilledQuantity", &[("unitCode", "C62")], &pieces);
        });
        xml.node("ram:SpecifiedLineTradeSettlement", |xml| {
            xml.node("ram:ApplicableTradeTax", |xml| category(xml, line.tax));
            for adjustment in &line.adjustments {
                let LineAdjustment {
                    direction,
                    amount,
                    shown: _,
                    reason,
                } = adjustment;
                xml.node("ram:SpecifiedTradeAllowanceCharge", |xml| {
                    indicator(xml, *direction);
                    xml.leaf("ram:ActualAmount", &money(*amount, currency));
                    xml.leaf("ram:Reason", reason);
                });
            }
            xml.node("ram:SpecifiedTradeSettlementLineMonetarySummation", |xml| {
                xml.leaf("ram:LineTotalAmount", &money(line.net, currency));
            });
        });
    });
}

fn agreement(xml: &mut Xml, invoice: &Invoice) {
    xml.node("ram:ApplicableHeaderTradeAgreement", |xml| {
        xml.leaf_if("ram:BuyerReference", invoice.buyer_reference.as_deref());
        xml.node("ram:SellerTradeParty", |xml| party(xml, &invoice.seller));
        xml.node("ram:BuyerTradeParty", |xml| party(xml, &invoice.buyer));
        xml.node("ram:BuyerOrderReferencedDocument", |xml| {
            xml.leaf("ram:IssuerAssignedID", &invoice.order_number);
        });
    });
}

fn party(xml: &mut Xml, party: &Party) {
    xml.leaf_if("ram:ID", party.id.as_deref());
    xml.leaf("ram:Name", &party.name);
    if let Some(registration) = &party.registration {
        xml.node("ram:SpecifiedLegalOrganization", |xml| {
            xml.leaf("ram:ID", registration);
        });
    }
    if let Some(contact) = &party.contact {
        xml.node("ram:DefinedTradeContact", |xml| {
            xml.leaf_if("ram:PersonName", contact.name.as_deref());
            if let Some(phone) = &contact.phone {
                xml.node("ram:TelephoneUniversalCommunication", |xml| {
                    xml.leaf("ram:CompleteNumber", phone);
                });
            }
            if let Some(email) = &contact.email {
                xml.node("ram:EmailURIUniversalCommunication", |xml| {
                    xml.leaf("ram:URIID", email);
                });
            }
        });
    }
    address(xml, &party.address);
    if let Some(endpoint) = &party.endpoint {
        xml.node("ram:URIUniversalCommunication", |xml| {
            let scheme = [("schemeID", endpoint.scheme.as_str())];
            xml.leaf_with("ram:URIID", &scheme, &endpoint.id);
        });
    }
    if let Some(vat_id) = &party.vat_id {
        xml.node("ram:SpecifiedTaxRegistration", |xml| {
            xml.leaf_with("ram:ID", &[("schemeID", "VA")], vat_id);
        });
    }
}

fn address(xml: &mut Xml, address: &PostalAddress) {
    xml.node("ram:PostalTradeAddress", |xml| {
        xml.leaf_if("ram:PostcodeCode", address.postcode.as_deref());
        xml.leaf("ram:LineOne", &address.line1);
        xml.leaf_if("ram:LineTwo", address.line2.as_deref());
        xml.leaf("ram:CityName", &address.city);
        xml.leaf("ram:CountryID", &address.country);
        xml.leaf_if("ram:CountrySubDivisionName", address.region.as_deref());
    });
}

fn delivery(xml: &mut Xml, invoice: &Invoice) {
    let delivery = &invoice.delivery;
    xml.node("ram:ApplicableHeaderTradeDelivery", |xml| {
        xml.node("ram:ShipToTradeParty", |xml| {
            xml.leaf("ram:Name", &delivery.name);
            address(xml, &delivery.address);
        });
        xml.node("ram:ActualDeliverySupplyChainEvent", |xml| {
            xml.node("ram:OccurrenceDateTime", |xml| {
                xml.leaf_with("udt:DateTimeString", DAY, &packed(delivery.on));
            });
        });
    });
}

fn settlement(xml: &mut Xml, invoice: &Invoice) {
    let currency = invoice.currency;
    xml.node("ram:ApplicableHeaderTradeSettlement", |xml| {
        xml.leaf_if("ram:PaymentReference", invoice.payment.reference.as_deref());
        xml.leaf("ram:InvoiceCurrencyCode", currency.code());
        means(xml, invoice);
        for total in &invoice.taxes {
            tax_total(xml, total, currency);
        }
        for adjustment in &invoice.adjustments {
            write_adjustment(xml, adjustment, currency);
        }
        terms(xml, invoice);
        summation(xml, invoice);
        if let Some(preceding) = &invoice.preceding {
            xml.node("ram:InvoiceReferencedDocument", |xml| {
                xml.leaf("ram:IssuerAssignedID", &preceding.number);
                xml.node("ram:FormattedIssueDateTime", |xml| {
                    xml.leaf_with("qdt:DateTimeString", DAY, &packed(preceding.issued_on));
                });
            });
        }
    });
}

fn means(xml: &mut Xml, invoice: &Invoice) {
    let Some(account) = &invoice.payment.account else {
        return;
    };
    xml.node("ram:SpecifiedTradeSettlementPaymentMeans", |xml| {
        xml.leaf("ram:TypeCode", transfer_code(invoice.currency));
        xml.node("ram:PayeePartyCreditorFinancialAccount", |xml| {
            xml.leaf("ram:IBANID", &account.iban);
            xml.leaf_if("ram:AccountName", account.holder.as_deref());
        });
        if let Some(bic) = &account.bic {
            xml.node("ram:PayeeSpecifiedCreditorFinancialInstitution", |xml| {
                xml.leaf("ram:BICID", bic);
            });
        }
    });
}

/// UNCL 4461: a SEPA transfer for the euro, else a credit transfer.
pub(crate) fn transfer_code(currency: Currency) -> &'static str {
    if currency.code() == "EUR" { "58" } else { "30" }
}

fn tax_total(xml: &mut Xml, total: &TaxTotal, currency: Currency) {
    let exemption = total.exemption.as_ref();
    xml.node("ram:ApplicableTradeTax", |xml| {
        xml.leaf("ram:CalculatedAmount", &money(total.amount, currency));
        xml.leaf("ram:TypeCode", "VAT");
        xml.leaf_if("ram:ExemptionReason", exemption.map(|e| e.text.as_str()));
        xml.leaf("ram:BasisAmount", &money(total.net, currency));
        xml.leaf("ram:CategoryCode", total.tax.category.code());
        let code = exemption.and_then(|e| e.code.as_deref());
        xml.leaf_if("ram:ExemptionReasonCode", code);
        xml.leaf("ram:RateApplicablePercent", &percent(total.tax.percent));
    });
}

fn write_adjustment(xml: &mut Xml, adjustment: &Adjustment, currency: Currency) {
    xml.node("ram:SpecifiedTradeAllowanceCharge", |xml| {
        indicator(xml, adjustment.direction);
        if let Some(of) = &adjustment.of {
            xml.leaf("ram:CalculationPercent", &percent(of.percent));
            xml.leaf("ram:BasisAmount", &money(of.base, currency));
        }
        xml.leaf("ram:ActualAmount", &money(adjustment.amount, currency));
        xml.leaf("ram:Reason", &adjustment.reason);
        xml.node("ram:CategoryTradeTax", |xml| category(xml, adjustment.tax));
    });
}

fn terms(xml: &mut Xml, invoice: &Invoice) {
    let payment = &invoice.payment;
    if payment.terms.is_none() && payment.due_on.is_none() {
        return;
    }
    xml.node("ram:SpecifiedTradePaymentTerms", |xml| {
        xml.leaf_if("ram:Description", payment.terms.as_deref());
        if let Some(due_on) = payment.due_on {
            xml.node("ram:DueDateDateTime", |xml| {
                xml.leaf_with("udt:DateTimeString", DAY, &packed(due_on));
            });
        }
    });
}

fn summation(xml: &mut Xml, invoice: &Invoice) {
    let (totals, currency) = (&invoice.totals, invoice.currency);
    xml.node(
        "ram:SpecifiedTradeSettlementHeaderMonetarySummation",
        |xml| {
            xml.leaf("ram:LineTotalAmount", &money(totals.lines, currency));
            xml.leaf("ram:ChargeTotalAmount", &money(totals.charges, currency));
            xml.leaf(
                "ram:AllowanceTotalAmount",
                &money(totals.allowances, currency),
            );
            xml.leaf("ram:TaxBasisTotalAmount", &money(totals.net, currency));
            let tax = money(totals.tax, currency);
            xml.leaf_with(
                "ram:TaxTotalAmount",
                &[("currencyID", currency.code())],
                &tax,
            );
            xml.leaf("ram:GrandTotalAmount", &money(totals.gross, currency));
            if invoice.kind == Kind::Invoice {
                xml.leaf("ram:TotalPrepaidAmount", &money(totals.prepaid, currency));
            }
            xml.leaf("ram:DuePayableAmount", &money(totals.payable, currency));
        },
    );
}

fn category(xml: &mut Xml, tax: Tax) {
    xml.leaf("ram:TypeCode", "VAT");
    xml.leaf("ram:CategoryCode", tax.category.code());
    xml.leaf("ram:RateApplicablePercent", &percent(tax.percent));
}

fn indicator(xml: &mut Xml, direction: Direction) {
    xml.node("ram:ChargeIndicator", |xml| {
        xml.leaf("udt:Indicator", charge(direction));
    });
}

/// Whether it is a charge, as XML says it.
pub(crate) fn charge(direction: Direction) -> &'static str {
    match direction {
        Direction::Allowance => "false",
        Direction::Charge => "true",
    }
}

/// An amount with all the digits of its currency.
pub(crate) fn money(amount: Decimal, currency: Currency) -> String {
    currency.round(amount).to_string()
}

/// A rate with no more digits than it needs.
pub(crate) fn percent(rate: Decimal) -> String {
    rate.normalize().to_string()
}
