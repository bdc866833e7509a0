@testable import Server

/// The tables of docs/configuration.md, made from the table of keys.
///
/// The page is written by hand but for what stands between `<!-- keys: ID -->` and `<!-- end -->`.
enum ReferenceDocument {
    /// All objects of the manifest, each before the objects in it.
    static let tables: [TableDescription] = {
        var tables: [TableDescription] = []
        collect(Table.manifest.description, into: &tables)
        return tables
    }()

    /// The page with its tables made anew.
    ///
    /// - Returns: also the ids of the tables that the page has no place for, or two.
    static func regenerate(_ page: String) -> (page: String, misplaced: [String]) {
        var lines: [String] = []
        var missing = tables.map(\.id)
        var misplaced: [String] = []
        var isSkipping = false
        for line in page.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
            if line == "<!-- end -->" { isSkipping = false }
            if !isSkipping { lines.append(line) }
            guard line.hasPrefix("<!-- keys: "), line.hasSuffix(" -->") else { continue }
            let id = String(line.dropFirst("<!-- keys: ".count).dropLast(" -->".count))
            guard let place = missing.firstIndex(of: id),
                let table = tables.first(where: { $0.id == id })
            else {
                misplaced.append(id)
                continue
            }
            missing.remove(at: place)
            lines += rows(of: table)
            isSkipping = true
        }
        return (lines.joined(separator: "\n"), misplaced + missing)
    }

    private static func collect(_ table: TableDescription, into tables: inout [TableDescription]) {
        guard !tables.contains(where: { $0.id == table.id }) else { return }
        tables.append(table)
        for key in table.keys { collect(key.form, into: &tables) }
    }

    private static func collect(_ form: ValueForm, into tables: inout [TableDescription]) {
        switch form {
        case .table(let table): collect(table, into: &tables)
        case .list(let element, _): collect(element, into: &tables)
        case .map(let element, _, _): collect(element, into: &tables)
        case .either(let forms): for form in forms { collect(form, into: &tables) }
        default: break
        }
    }

    // MARK: Rows

    private static func rows(of table: TableDescription) -> [String] {
        ["| Key | Type | Default | Meaning |", "|---|---|---|---|"]
            + table.keys.map { key in
                let fallback =
                    key.isRequired ? "required" : key.defaultText.map { "`\($0)`" } ?? ""
                return "| `\(key.name)` | \(type(key.form)) | \(fallback) | \(key.note) |"
            }
    }

    private static func type(_ form: ValueForm) -> String {
        switch form {
        case .integer(let range) where range.count == 1: "`\(range.lowerBound)`"
        case .integer: "number, \(form.rangeText ?? "")"
        case .duration: "duration, \(form.rangeText ?? "")"
        case .size: "size, \(form.rangeText ?? "")"
        case .text(let form): form.name
        case .words(let words): words.map { "`\"\($0)\"`" }.joined(separator: ", ")
        case .yes: "`true`"
        case .anyObject: "object"
        case .list(.text(let form), _): "list of \(form.name)s"
        case .list(let element, _): "list of " + type(element)
        case .map(let element, let keys, _): "object from \(keys.name) to " + type(element)
        case .either(let forms): forms.map(type).joined(separator: " or ")
        case .table(let table): "[`\(table.title)`](#\(anchor(table.title)))"
        }
    }

    /// How GitHub makes the anchor of a heading.
    private static func anchor(_ heading: String) -> String {
        heading.lowercased().filter { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" }
    }
}
