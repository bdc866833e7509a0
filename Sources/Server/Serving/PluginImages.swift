internal import Admin
internal import PluginHost
internal import Sys

/// What the admin interface tells of libraries in memory.
enum PluginImages {
    /// Every image in memory, in the order in which they were loaded.
    static var json: JSON {
        .array(ImageRegistry.shared.rows().map { json($0) })
    }

    private static func json(_ row: PluginImage.Row) -> JSON {
        let image = row.image
        return [
            "number": .integer(Int64(image.number)),
            "library": .string(image.path),
            "sha256": .string(image.sha256),
            "bytes": .integer(Int64(image.mappedBytes)),
            "generation": .integer(Int64(image.generation)),
            "loaded_at": .string(Clock.timestamp(image.loadedSeconds)),
            "state": .string(row.standing.rawValue),
            "instances": .array(row.instances.map { .string($0) }),
            "reason": .string(row.reason),
        ]
    }
}
