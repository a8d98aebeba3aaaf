// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/backlog.hpp"
#include "model/senml.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

// Makes a pack of a batch of readings. The same readings give the same bytes. No thread of its own, no I/O.
namespace things {

/// Name and unit of a series, as the queue's catalogue knows them; an empty name means it does not.
struct SeriesText {
    std::string_view name, unit;
};
/// Called on the packer's thread, once for each series it knows.
using FindSeries = std::function<SeriesText(SeriesId)>;

/// Both at least 1.
struct PackLimits {
    std::size_t max_records = 500;
    std::size_t max_bytes = std::size_t{16} * 1024; ///< of the whole body; one record may exceed it alone
};

/// A reading that can never be sent.
/// `reason` goes to the dead-letter list as it is.
struct Refused {
    std::size_t index = 0; ///< in the batch
    std::string reason;
};

/// Readings [from, from + used) are accounted for: in the body, or refused. The rest belongs to the next
/// pack.
struct Pack {
    std::string body;        ///< empty if none of the used readings can be sent
    std::size_t used = 0;    ///< readings from the first index on that it accounts for, refused ones included
    std::size_t records = 0; ///< readings in the body
    std::vector<Refused> refused;
};

/// Keeps the wire form of each series it has seen, for speed. One thread at a time.
class Packer {
public:
    explicit Packer(FindSeries find_series) : find_series_(std::move(find_series)) {}
    /// Packs readings [from, from + count) of the batch, as many as the limits allow. The pack ends before a
    /// reading whose name and time are in it already (RFC 8428 leaves their order undefined).
    /// Never throws on what readings hold. Costs one look-up and one append per reading; the body is a copy.
    [[nodiscard]] Pack pack(std::string_view base_name, const Batch& batch, std::size_t from,
                            std::size_t count, const PackLimits& limits);

private:
    struct Series {
        SenmlSeries text;
        std::size_t name = 0; ///< index into names_; series of other units or devices share names
        bool is_found = false;
    };
    struct Name {
        std::uint64_t pack = 0;     ///< number of the last pack with a reading of this name
        std::int64_t newest_ms = 0; ///< the latest of these
    };
    /// A series that the catalogue does not know is asked for anew each time.
    const Series& find(SeriesId id);
    [[nodiscard]] bool is_repeated(const Batch& batch, std::size_t from, std::size_t index) const;

    FindSeries find_series_;
    std::vector<Series> series_; ///< by id
    std::vector<Name> names_;
    std::unordered_map<std::string, std::size_t> name_index_;
    SenmlWriter writer_;
    std::uint64_t packs_ = 0;
};

} // namespace things
