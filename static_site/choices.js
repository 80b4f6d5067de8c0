// @ts-check
/**
 * The options whose values can be listed, the default first, as the service has them (a test compares), and what the page
 * says of each value: `short` beside other options, `sentence` on how an image was measured.
 *
 * weights, divisor: of red, green and blue, and what their sum is divided by.
 */
export const CHOICES = {
  luma: {
    bt601: { short: "Rec. 601 luma", by: "ITU-R BT.601", weights: [19_595, 38_470, 7_471], divisor: 65_536 },
    bt709: { short: "Rec. 709 luma", by: "ITU-R BT.709", weights: [13_933, 46_871, 4_732], divisor: 65_536 },
    mean: { short: "mean of red, green and blue", by: "the plain mean", weights: [1, 1, 1], divisor: 3 },
  },
  alpha: {
    ignore: { short: "hidden colors count", sentence: "Transparency was ignored: the color under a transparent pixel counts." },
    weight: { short: "transparent pixels count less", sentence: "A pixel counts as much as it is opaque." },
    black: { short: "on a black background", sentence: "The image was laid on black." },
    white: { short: "on a white background", sentence: "The image was laid on white." },
  },
};

export const DEFAULTS = Object.fromEntries(Object.entries(CHOICES).map(([name, values]) => [name, Object.keys(values)[0]]));
/** The names of all options. */
export const OPTIONS = [...Object.keys(CHOICES), "region"];

/** What there is to say of the values in `options`, of those that can be listed. */
export function saidOf(options, kind) {
  return Object.entries(CHOICES).map(([name, values]) => values[options[name]]?.[kind]).filter(Boolean);
}
