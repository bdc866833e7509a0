/// Draws members of a group by their weights, in constant time.
///
/// The alias method of Walker, built as Vose does: each member has a column of the same height, of
/// which it fills a part; the rest belongs to one other member. Plain memory that the table frees.
public struct WeightedDraw: BitwiseCopyable {
    @usableFromInline
    struct Column: BitwiseCopyable {
        /// The member's own part of its column, in units of 2^-32.
        @usableFromInline let own: UInt32
        /// Whose the rest is.
        @usableFromInline let other: UInt32
    }

    @usableFromInline let columns: UnsafeMutablePointer<Column>
    @usableFromInline let count: Int

    /// Builds the columns: O(members).
    public init(_ group: PeerGroup) {
        count = group.count
        columns = .allocate(capacity: count)
        // In units in which a column is `group.weights` high.
        var left = (0..<count).map { group.members[$0].weight * group.count }
        var small: [Int] = []
        var large: [Int] = []
        for place in left.indices {
            if left[place] < group.weights { small.append(place) } else { large.append(place) }
        }
        while let place = small.last, let other = large.last {
            small.removeLast()
            // Safe: places are below `count`, and each is in one of the lists once.
            (columns + place).initialize(
                to: Column(own: Self.part(left[place], of: group.weights), other: UInt32(other))
            )
            left[other] -= group.weights - left[place]
            if left[other] < group.weights {
                large.removeLast()
                small.append(other)
            }
        }
        // Full columns, whose owner is drawn either way.
        for place in small + large {
            (columns + place).initialize(to: Column(own: .max, other: UInt32(place)))
        }
    }

    private static func part(_ height: Int, of whole: Int) -> UInt32 {
        UInt32(UInt64(height) << 32 / UInt64(whole))
    }

    /// Frees the columns.
    public func deallocate() { columns.deallocate() }

    /// The place of the member that a random number stands for.
    @inlinable
    public func place(_ number: UInt64) -> Int {
        let column = Int(truncatingIfNeeded: ((number &>> 32) &* UInt64(count)) &>> 32)
        // Safe: below `count`, as the number's upper half is below 2^32.
        let drawn = columns[column]
        return UInt32(truncatingIfNeeded: number) < drawn.own
            ? column : Int(truncatingIfNeeded: drawn.other)
    }
}
