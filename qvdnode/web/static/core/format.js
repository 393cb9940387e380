// Numbers, sizes and times as people read them. Pure: the present time is an argument.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const STEPS = [["second", 60], ["minute", 60], ["hour", 24], ["day", 30], ["month", 12]];

/**
 * A size in bytes with a binary unit and at most one decimal.
 * @param {number} bytes
 * @param {string} language
 */
export function size(bytes, language) {
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = value < 10 && unit > 0 ? 1 : 0;
  return `${number(value, language, digits)} ${UNITS[unit]}`;
}

/**
 * A size that is given in MiB.
 * @param {number} mebibytes
 * @param {string} language
 */
export const mebibytes = (mebibytes, language) => size(mebibytes * 1048576, language);

/**
 * A number as the language writes it.
 * @param {number} value
 * @param {string} language
 * @param {number} [digits] at most so many decimals
 */
export const number = (value, language, digits = 1) =>
  new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value);

/**
 * How long ago something was, or how soon it will be: "3 minutes ago".
 * @param {string} moment ISO 8601
 * @param {number} now milliseconds since 1970
 * @param {string} language
 */
export function ago(moment, now, language) {
  let value = (Date.parse(moment) - now) / 1000;
  for (const [unit, count] of STEPS) {
    if (Math.abs(value) < count) return relative(value, unit, language);
    value /= count;
  }
  return relative(value, "year", language);
}

/**
 * @param {number} value
 * @param {Intl.RelativeTimeFormatUnit} unit
 * @param {string} language
 */
const relative = (value, unit, language) =>
  new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(Math.round(value), unit);

/**
 * Date and time in the reader's time zone, to the second.
 * @param {string} moment ISO 8601
 * @param {string} language
 * @param {string} [timeZone]
 */
export const dateTime = (moment, language, timeZone) =>
  new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium", timeZone })
    .format(new Date(moment));
