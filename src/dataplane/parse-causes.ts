/** What became of a packet in the parser: indices of `Parser.counters`. */
export const PARSE_IPV4 = 0;
export const PARSE_IPV6 = 1;
/** Well formed as far as it was read, but neither IPv4 nor IPv6: ARP, PPP control, an 802.3 length. */
export const PARSE_NON_IP = 2;
/** The captured bytes end inside a header, or before ports that IP promises. */
export const PARSE_TRUNCATED = 3;
/** Lengths or versions that contradict each other. */
export const PARSE_MALFORMED = 4;
export const PARSE_TOO_MANY_TAGS = 5;
export const PARSE_TOO_MANY_LABELS = 6;
export const PARSE_TOO_MANY_EXTENSIONS = 7;

/** Names of the counters, by index. */
export const PARSE_CAUSE_NAMES = Object.freeze([
  'ipv4',
  'ipv6',
  'nonIp',
  'truncated',
  'malformed',
  'tooManyTags',
  'tooManyLabels',
  'tooManyExtensions',
] as const);
