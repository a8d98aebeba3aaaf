// SPDX-License-Identifier: Apache-2.0
#include "delivery/pack_size.hpp"

#include <algorithm>
#include <cstdint>

namespace things {

namespace {

// One refused pack per 50 shows whether the lower limit still holds.
constexpr int packs_before_recovery = 50;
// Where posts are counted, what may not go out more often must go out in larger packs.
constexpr std::size_t growth = 16;

PackLimits configured(const ThingsConfig& things, const BatchConfig& batch) {
    const std::size_t factor = things.min_interval.count() > 0 ? growth : 1;
    return {static_cast<std::size_t>(std::max(1, batch.max_records)) * factor,
            static_cast<std::size_t>(std::max<std::int64_t>(1, batch.max_bytes)) * factor};
}

} // namespace

PackLimits PackSize::limits(const ThingsConfig& things, const BatchConfig& batch) const {
    PackLimits limits = configured(things, batch);
    if (cut_) {
        limits.max_records = std::min(limits.max_records, cut_->max_records);
        limits.max_bytes = std::min(limits.max_bytes, cut_->max_bytes);
    }
    return limits;
}

std::size_t PackSize::readings_for(const PackLimits& limits) const {
    // Too few would make packs smaller than allowed.
    const double by_bytes = static_cast<double>(limits.max_bytes) / (bytes_per_record_ * 0.9) + 4;
    return std::min(limits.max_records, static_cast<std::size_t>(by_bytes));
}

void PackSize::note_packed(std::size_t records, std::size_t bytes) {
    const double now = static_cast<double>(bytes) / static_cast<double>(records);
    // Single-record packs carry the long base name; they say little about the next full one.
    if (records >= 4)
        bytes_per_record_ += (now - bytes_per_record_) / 4;
}

void PackSize::cut(std::size_t records, std::size_t bytes) {
    cut_ = PackLimits{std::max<std::size_t>(1, records), std::max<std::size_t>(1, bytes)};
    packs_since_cut_ = 0;
}

void PackSize::note_accepted(const ThingsConfig& things, const BatchConfig& batch) {
    if (!cut_ || ++packs_since_cut_ < packs_before_recovery)
        return;
    packs_since_cut_ = 0;
    // In steps of a quarter: the limit that was met is found again with few refused packs.
    cut_->max_records += cut_->max_records / 4 + 1;
    cut_->max_bytes += cut_->max_bytes / 4 + 1;
    const PackLimits usual = configured(things, batch);
    if (cut_->max_records >= usual.max_records && cut_->max_bytes >= usual.max_bytes)
        cut_.reset();
}

} // namespace things
