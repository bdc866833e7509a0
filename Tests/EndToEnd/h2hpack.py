"""HPACK (RFC 7541) for tests: an encoder whose every octet the test chooses, and a strict decoder.

The encoder is a set of functions that make one representation each, right or wrong. The decoder
raises BadBlock for what the RFC calls an error, so that a server's mistakes fail the test.
"""


class BadBlock(Exception):
    """A header block that breaks RFC 7541."""


# RFC 7541 appendix A. "name=value", or the name alone.
STATIC = [tuple(entry.partition("=")[::2]) for entry in """
:authority :method=GET :method=POST :path=/ :path=/index.html :scheme=http :scheme=https
:status=200 :status=204 :status=206 :status=304 :status=400 :status=404 :status=500
accept-charset accept-encoding=gzip,_deflate accept-language accept-ranges accept
access-control-allow-origin age allow authorization cache-control content-disposition
content-encoding content-language content-length content-location content-range content-type
cookie date etag expect expires from host if-match if-modified-since if-none-match if-range
if-unmodified-since last-modified link location max-forwards proxy-authenticate
proxy-authorization range referer refresh retry-after server set-cookie
strict-transport-security transfer-encoding user-agent vary via www-authenticate
""".replace("gzip,_deflate", "gzip,\0deflate").split()]
STATIC = [(name, value.replace("\0", " ")) for name, value in STATIC]
assert len(STATIC) == 61

# RFC 7541 appendix B. The code is canonical, so the lengths say everything: codes of one length are
# in the order of their symbols. The last entry is EOS.
HUFFMAN_LENGTHS = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
]


def _huffman_codes():
    codes, code, length = [0] * 257, 0, 0
    for symbol in sorted(range(257), key=lambda s: (HUFFMAN_LENGTHS[s], s)):
        code <<= HUFFMAN_LENGTHS[symbol] - length
        length = HUFFMAN_LENGTHS[symbol]
        codes[symbol] = code
        code += 1
    return codes


HUFFMAN_CODES = _huffman_codes()
HUFFMAN_SYMBOLS = {(HUFFMAN_LENGTHS[s], HUFFMAN_CODES[s]): s for s in range(257)}
EOS = 256


# ------------------------------------------------------------------ encoding
def huffman(symbols, padding=None):
    """The bits of these symbols (bytes, or a list that may hold EOS), padded with ones, or with
    `padding`, a text of bits."""
    bits = "".join(format(HUFFMAN_CODES[s], "0%db" % HUFFMAN_LENGTHS[s]) for s in symbols)
    bits += "1" * (-len(bits) % 8) if padding is None else padding
    assert len(bits) % 8 == 0
    return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))


def integer(value, prefix, pattern=0):
    """RFC 7541 section 5.1, with the bits of `pattern` above the prefix."""
    most = (1 << prefix) - 1
    if value < most:
        return bytes([pattern | value])
    out, value = [pattern | most], value - most
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + [value])


def octets(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def string(text, coded=False):
    data = octets(text)
    if coded:
        data = huffman(data)
        return integer(len(data), 7, 0x80) + data
    return integer(len(data), 7) + data


def indexed(index):
    return integer(index, 7, 0x80)


# How a literal says whether it enters the table: (bits of the index, pattern).
PLAIN, NEVER, ADDED = (4, 0x00), (4, 0x10), (6, 0x40)


def literal(name, value, kind=PLAIN, coded=False):
    """`name` is an index of a table, or a text."""
    if isinstance(name, int):
        return integer(name, *kind) + string(value, coded)
    return integer(0, *kind) + string(name, coded) + string(value, coded)


def size_update(size):
    return integer(size, 5, 0x20)


def block(fields):
    """A block that uses no table and no Huffman code: what the test says is what is sent. A field
    that is bytes already goes in as it is."""
    return b"".join(f if isinstance(f, bytes) else literal(*f) for f in fields)


# ------------------------------------------------------------------ decoding
class Decoder:
    """`limit`: the SETTINGS_HEADER_TABLE_SIZE that we announced."""

    def __init__(self, limit=4096):
        self.limit = self.size = limit
        self.entries = []
        # Set when we announced less than the peer's table may have had: it has to say so at the
        # beginning of its next block (RFC 7541 section 4.2).
        self.update_due = False

    def announce(self, limit):
        self.update_due = limit < self.size
        self.limit = limit

    def decode(self, data):
        self.data, self.at = data, 0
        # Names of the fields that must not be indexed by anybody (section 6.2.3).
        self.never = set()
        fields = []
        while self.at < len(data):
            first = data[self.at]
            if first & 0xE0 == 0x20:
                if fields:
                    raise BadBlock("a size update behind a field")
                self._resize(self._integer(5))
                continue
            if self.update_due:
                raise BadBlock("no size update at the beginning of the block")
            if first & 0x80:
                fields.append(self._entry(self._integer(7)))
            elif first & 0x40:
                field = self._literal(6)
                self.entries.insert(0, field)
                self._evict()
                fields.append(field)
            else:
                fields.append(self._literal(4))
                if first & 0x10:
                    self.never.add(fields[-1][0])
        return fields

    def _resize(self, size):
        if size > self.limit:
            raise BadBlock("a table of %d octets, above the limit of %d" % (size, self.limit))
        self.size, self.update_due = size, False
        self._evict()

    def _evict(self):
        while sum(len(n) + len(v) + 32 for n, v in self.entries) > self.size:
            self.entries.pop()

    def _entry(self, index):
        if index == 0:
            raise BadBlock("index 0")
        if index <= len(STATIC):
            return STATIC[index - 1]
        if index - len(STATIC) > len(self.entries):
            raise BadBlock("index %d is not in the table" % index)
        return self.entries[index - len(STATIC) - 1]

    def _literal(self, prefix):
        index = self._integer(prefix)
        name = self._entry(index)[0] if index else self._string()
        return name, self._string()

    def _octet(self):
        if self.at >= len(self.data):
            raise BadBlock("cut short")
        self.at += 1
        return self.data[self.at - 1]

    def _integer(self, prefix):
        most = (1 << prefix) - 1
        value = self._octet() & most
        if value < most:
            return value
        shift = 0
        while True:
            octet = self._octet()
            value += (octet & 127) << shift
            shift += 7
            if octet < 128:
                return value
            if shift > 28:
                raise BadBlock("an integer of too many octets")

    def _string(self):
        coded = self.data[self.at:self.at + 1] >= b"\x80"
        length = self._integer(7)
        data = self.data[self.at:self.at + length]
        if len(data) < length:
            raise BadBlock("a string that is cut short")
        self.at += length
        return (_unhuffman(data) if coded else data).decode("latin-1")


def _unhuffman(data):
    out, code, length = bytearray(), 0, 0
    for octet in data:
        for shift in range(7, -1, -1):
            code, length = code << 1 | octet >> shift & 1, length + 1
            symbol = HUFFMAN_SYMBOLS.get((length, code))
            if symbol == EOS:
                raise BadBlock("EOS in a string")
            if symbol is not None:
                out.append(symbol)
                code, length = 0, 0
    if length > 7 or code != (1 << length) - 1:
        raise BadBlock("padding that is not the begin of EOS")
    return bytes(out)
