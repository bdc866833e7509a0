internal import CLinux

/// A terminal that is drawn on as a whole, in place of lines that scroll.
///
/// Keys come as they are pressed, and are not shown; also what would be a signal else, so that
/// whoever draws can give the terminal back.
public struct Screen: ~Copyable {
    private static let input: Int32 = 0
    private static let output: Int32 = 1

    /// Whether the standard input and output are a terminal.
    public static var isThere: Bool {
        clinux_is_terminal(input) != 0 && clinux_is_terminal(output) != 0
    }

    /// Takes the terminal: its second screen, without a cursor.
    ///
    /// - Throws: what the kernel says when it is none.
    public init() throws(Errno) {
        let result = clinux_terminal_take(Self.input)
        guard result == 0 else { throw Errno(Int32(clamping: -result)) }
        File.write("\u{1B}[?1049h\u{1B}[?25l", to: Self.output)
    }

    deinit {
        File.write("\u{1B}[?25h\u{1B}[?1049l", to: Self.output)
        clinux_terminal_give_back(Self.input)
    }

    /// Lines and columns; 24 and 80 where the terminal does not say.
    public var size: (rows: Int, columns: Int) {
        let size = clinux_terminal_size(Self.output)
        return size == 0 ? (24, 80) : (Int(size >> 16), Int(size & 0xFFFF))
    }

    /// Shows these lines from the top, each cut at the right edge, and nothing else.
    ///
    /// The lines have no control characters.
    public func draw(_ lines: [String]) {
        let (rows, columns) = size
        var text = "\u{1B}[H"
        for line in lines.prefix(rows) { text += line.prefix(columns) + "\u{1B}[K\r\n" }
        // Without the last line end, which would scroll.
        text.removeLast(lines.isEmpty ? 0 : 1)
        File.write(text + "\u{1B}[J", to: Self.output)
    }

    /// Waits for a key.
    ///
    /// - Returns: its first byte; nil when the time is over, 3 (Ctrl-C) when the terminal is gone.
    public func key(milliseconds: Int32) -> UInt8? {
        guard clinux_poll(Self.input, milliseconds) > 0 else { return nil }
        var byte: UInt8 = 0
        return clinux_read(Self.input, &byte, 1) == 1 ? byte : 3
    }
}
