// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "p1/cipher_stream.hpp"
#include "p1/keys.hpp"
#include "p1/line_search.hpp"
#include "p1/mode_c.hpp"
#include "p1/point_output.hpp"
#include "p1/telegram_health.hpp"

#include "link/stream.hpp"
#include "link/tcp_socket.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

// One meter. In mode p1 it reads all the time and thins out after decoding (a pause between reads would lose
// bytes): listen emits; poll only waits for the first telegram and repeats the last values, marked as
// unchanged. In mode_c poll starts a readout and listen carries on with one that takes longer than a call. On
// its source's thread.
namespace things {

class P1Source {
public:
    /// Null: problem() was told what is wrong. The port is opened by the first poll or listen.
    static std::unique_ptr<P1Source> make(const PluginHost& host, const things_source_config& config);
    P1Source(PluginHost host, P1Options options, std::vector<P1Point> points);
    P1Source(const P1Source&) = delete;
    P1Source& operator=(const P1Source&) = delete;

    /// Mode p1: waits for the first telegram of all, later returns at once; emits the last values as
    /// unchanged. THINGS_TIMEOUT while no telegram ever came. Mode C: one readout, which may go on in
    /// listen().
    int poll(const std::uint32_t* points, std::uint32_t count, std::int64_t deadline_ms);
    /// Returns at the deadline, or earlier when the host interrupts. Bytes are decoded as they come; a
    /// telegram is emitted at once.
    int listen(std::int64_t deadline_ms);
    /// Everything that one telegram says, an object a line.
    int discover(const PluginSettings& options, std::int64_t deadline_ms);
    /// What the meter will send; touches no line.
    int plan();

private:
    /// Opens, reads and decodes until the patience ends. `until_telegram`: or until one was good.
    int run(const Patience& patience, bool until_telegram);
    int wait(const Patience& patience, SteadyTime until) const;
    /// To the host: why points have no value.
    void tell_reasons() const;
    /// After a failure the next attempt waits 1 s, then twice as long, up to 30 s.
    int open(const Patience& patience);
    void close(const std::string& why);
    void feed(std::string_view bytes);
    /// Called by the decoder from within feed(): no member it uses may be changed meanwhile.
    void on_found(FoundTelegram found);
    /// What silence brings: flush after a second, the search for the line, alarms.
    void look_after(std::int64_t now_ms);
    void change_to_current_line();
    /// One step of the readout of mode C, with its outcome told.
    int read_out(const Patience& patience);
    /// The time of this moment on all clocks, and whether the wall clock can be trusted.
    [[nodiscard]] Arrival now() const;

    PluginHost host_;
    P1Options options_;
    LineSearch line_;
    LineObserver observer_;
    SourceProblems problems_;
    TelegramHealth health_;
    PointOutput output_;
    std::variant<TelegramStream, CipherStream> decoder_;
    ModeCReadout readout_;
    std::vector<std::uint32_t> wanted_; // points the readout is for
    TcpConnector connector_;
    std::optional<Stream> stream_;
    SteadyTime open_at_{};
    std::chrono::milliseconds pause_{1000};
    std::int64_t last_byte_ms_ = 0;
    bool is_flushed_ = true, is_line_stale_ = false, is_readout_failing_ = false, is_discovering_ = false;
};

} // namespace things
