// Money is an integer number of fen. Nothing here computes with fractions.

const YUAN = /^(\d{1,12})(?:\.(\d{1,2}))?$/;

/** "12.3" → 1230; null if the text is not an amount in yuan with at most two decimals. */
export function parseYuan(text) {
  const match = YUAN.exec(String(text).trim().replace(/^[¥￥]\s*/, "").replace(/,/g, ""));
  if (!match) return null;
  const [, yuan, cents = ""] = match;
  return Number.parseInt(yuan, 10) * 100 + Number.parseInt(cents.padEnd(2, "0"), 10);
}

/** "12" → 12; null if the text is not a plain non-negative integer. */
export function parseCount(text) {
  const value = String(text).trim();
  return /^\d{1,9}$/.test(value) ? Number.parseInt(value, 10) : null;
}

/** 1230 → "12.30", digits only. */
export function yuanDigits(fen) {
  const abs = Math.abs(fen);
  const cents = String(abs % 100).padStart(2, "0");
  return `${fen < 0 ? "-" : ""}${(abs - (abs % 100)) / 100}.${cents}`;
}

const formats = new Map();

/** 123456 → "¥1,234.56" in the language's manner. */
export function formatFen(fen, locale = "zh-CN") {
  if (!Number.isSafeInteger(fen)) return "¥–";
  let format = formats.get(locale);
  if (!format) {
    format = new Intl.NumberFormat(locale, {
      style: "currency", currency: "CNY", currencyDisplay: "narrowSymbol",
    });
    formats.set(locale, format);
  }
  return format.format(yuanDigits(fen)); // a decimal string: formatted without rounding
}
