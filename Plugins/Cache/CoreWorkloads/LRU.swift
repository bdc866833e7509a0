/// A cache that drives out what was asked for the longest time ago: what others are compared with.
///
/// One thread only.
public struct LRU<Key: Hashable> {
    private struct Entry {
        let key: Key
        var previous: Int
        var next: Int
    }

    private let capacity: Int
    private var places: [Key: Int] = [:]
    private var entries: [Entry] = []
    /// Most recently used; -1 for none.
    private var head = -1
    private var tail = -1

    /// - Parameter capacity: objects, 1 or more.
    public init(capacity: Int) {
        self.capacity = capacity
        places.reserveCapacity(capacity)
        entries.reserveCapacity(capacity)
    }

    /// Asks for a key, which counts as a use.
    public mutating func get(_ key: Key) -> Bool {
        guard let place = places[key] else { return false }
        if place != head {
            unlink(place)
            pushFront(place)
        }
        return true
    }

    /// Puts a key that is not there.
    public mutating func put(_ key: Key) {
        if entries.count < capacity {
            entries.append(Entry(key: key, previous: -1, next: -1))
            places[key] = entries.count - 1
            pushFront(entries.count - 1)
            return
        }
        let place = tail
        unlink(place)
        places[entries[place].key] = nil
        entries[place] = Entry(key: key, previous: -1, next: -1)
        places[key] = place
        pushFront(place)
    }

    private mutating func unlink(_ place: Int) {
        let (previous, next) = (entries[place].previous, entries[place].next)
        if previous >= 0 { entries[previous].next = next } else { head = next }
        if next >= 0 { entries[next].previous = previous } else { tail = previous }
    }

    private mutating func pushFront(_ place: Int) {
        entries[place].previous = -1
        entries[place].next = head
        if head >= 0 { entries[head].previous = place } else { tail = place }
        head = place
    }
}
