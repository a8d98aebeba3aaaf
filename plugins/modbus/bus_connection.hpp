// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "link/byte_link.hpp"
#include "modbus/modbus_settings.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <utility>

// The link of a bus as it comes and goes: when it is opened, when it may be opened again, and what is learned
// from how it ends. Owned by a bus, used on its thread. After a crash nothing is left behind.
namespace things {

class BusConnection {
public:
    /// `host`, which outlives it, may end a wait for a connection early; null: nobody does.
    BusConnection(const LinkSettings& settings, std::unique_ptr<ByteLink> link, const PluginHost* host);

    /// Opens the link, which must not be open. After a failure it is tried again only when a growing time is
    /// over (TCP, spread by chance so that many do not come at once) or every half second (serial); until
    /// then the same trouble is returned at once.
    [[nodiscard]] std::optional<LinkTrouble> open();
    /// Returns when `connect_delay` is over, which the host ends early.
    [[nodiscard]] std::optional<LinkTrouble> await_ready();
    /// The link is lost: closes it, and says when it may be opened again.
    void lose();
    [[nodiscard]] ByteLink& link() { return *link_; }
    [[nodiscard]] const ByteLink& link() const { return *link_; }

    /// When open() will try; in the past if now.
    [[nodiscard]] SteadyTime next_open() const { return next_open_; }
    /// True once after the link was opened.
    /// For a caller that must look again at what may have been plugged in meanwhile.
    [[nodiscard]] bool take_reopened() { return std::exchange(reopened_, false); }
    /// Whether anything was answered since the link was opened.
    [[nodiscard]] bool has_answered() const { return answers_ > 0; }
    /// After an answer: a connection that brings one only is closed here.
    void on_answer();
    /// Why it could not be opened, or was lost.
    [[nodiscard]] const LinkTrouble& trouble() const { return trouble_; }
    /// What was learned of the other side, for a technician; once.
    [[nodiscard]] std::optional<LinkTrouble> take_note() { return std::exchange(note_, std::nullopt); }
    void set_note(LinkTrouble note) { note_ = std::move(note); }

private:
    void learn_closing();
    [[nodiscard]] SteadyTime reopen_time();

    const LinkSettings& settings_;
    const PluginHost* host_;
    std::unique_ptr<ByteLink> link_;
    LinkTrouble trouble_;
    std::optional<LinkTrouble> note_;
    SteadyTime next_open_{};
    std::chrono::milliseconds reopen_wait_{0}; ///< at most; a part of it is left to chance
    std::minstd_rand random_;
    SteadyTime ready_{}; ///< the connect_delay is over
    bool reopened_ = false;
    bool was_away_ = true; ///< it was never opened, or could not be
    int answers_ = 0;      ///< since it was opened
    SteadyTime last_answer_{};
    int closed_after_one_ = 0; ///< connections in a row that brought one answer
    bool is_for_one_ = false;  ///< each connection brings one answer
};

} // namespace things
