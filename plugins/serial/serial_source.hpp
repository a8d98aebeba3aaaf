// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "serial/keys.hpp"
#include "serial/line_record.hpp"

#include "link/interval_grid.hpp"
#include "link/source_problems.hpp"
#include "link/stream.hpp"
#include "link/tcp_socket.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// One line with one or more sensors on it. Points with a request are asked in poll; points without are
// listened for all the time, thinned to their interval, and repeated (marked as unchanged) when poll asks. On
// its source's thread.
namespace things {

class SerialSource {
public:
    /// Null: problem() was told what is wrong. The link is opened by the first call that needs it.
    static std::unique_ptr<SerialSource> make(const PluginHost& host, const things_source_config& config);
    SerialSource(PluginHost host, std::string name, SerialOptions options, std::vector<SerialPoint> points);
    SerialSource(const SerialSource&) = delete;
    SerialSource& operator=(const SerialSource&) = delete;

    /// One request serves all due points that share it. Input is thrown away before a request, unless
    /// somebody on the line talks by itself. A point that gets no answer within timeout and retries is
    /// reported.
    int poll(const std::uint32_t* points, std::uint32_t count, std::int64_t deadline_ms);
    /// Reads all the time if a point has no request, else only waits: what comes unasked is then thrown away
    /// by the next request.
    int listen(std::int64_t deadline_ms);
    /// What comes over the line for some seconds, and the answers to the requests of the points; with `baud`
    /// at each of these speeds.
    int discover(const PluginSettings& options, std::int64_t deadline_ms);
    /// Not interrupted once begun. With `expect` or `refuse` the answer decides; with `refuse` alone silence
    /// within the timeout means yes; with neither nobody knows whether it was taken.
    int write(std::uint32_t point, const things_value& value, things_value& written,
              std::int64_t deadline_ms);

    /// How the points will be asked for; touches no line.
    int plan();

private:
    /// `value` is the last one read, reported or not: what poll repeats for a point that talks.
    struct State {
        IntervalGrid grid;
        bool has_value = false, is_failing = false;
        PointValue value;
        std::string raw;
        std::int64_t wall_ms = 0;
        std::string without; ///< the last frame about it that had no value to use
    };
    /// A request or a write that waits for its answer.
    /// Lives on the stack of await_answer()'s caller; question_ points to it only while the answer is waited
    /// for.
    struct Question {
        std::vector<std::uint32_t> open;    // points without an outcome
        const SerialPoint* write = nullptr; // or a write
        std::string last_frame;             // the last one that answered nothing
        std::string last_damage;            // if that was the last thing to come
        std::uint64_t bytes = 0;            // that had come before
        int verdict = THINGS_TIMEOUT;
        SteadyTime asked{};
    };

    /// After a failure the next attempt waits 1 s, then twice as long, up to 30 s. Sends `on_open`.
    int open(const Patience& patience);
    void close(std::string why);
    /// THINGS_OK, THINGS_INTERRUPTED, or THINGS_FAILED with the link closed. Frames are worked on from
    /// within.
    int read_some(const Patience& patience);
    /// THINGS_TIMEOUT only with `until_value`: some of these points have had no value yet.
    int run(const Patience& patience, const std::vector<std::uint32_t>* until_value);
    int send(std::string_view bytes, const Patience& patience);
    int ask(const std::string& request, const std::vector<std::uint32_t>& points, const Patience& patience);
    int await_answer(Question& question, const Patience& patience);
    int try_speed(int baud, SteadyTime end);
    int discover_for(SteadyTime end);
    void tell_no_answer(const Question& question, const std::string& request);
    [[nodiscard]] std::string why_no_answer(const Question& question, const std::string& request,
                                            const PointRules& rules) const;
    /// Offers the frame to every point without a request and to those the question is about.
    void on_frame(const SerialFrame& frame);
    void on_damage(const FrameDamage& damage);
    void offer(const SerialFrame& frame, std::uint32_t index, bool is_asked);
    void answer_write(const SerialFrame& frame, Question& question);
    void emit(std::uint32_t index, std::uint32_t flags, std::uint32_t duration_us);
    [[nodiscard]] bool have_values(const std::vector<std::uint32_t>& points) const;
    void repeat(const std::vector<std::uint32_t>& points);
    /// To the host, of each point that talks and has had no value.
    void tell_reasons() const;
    /// The end of damage (ten minutes without) and the beginning of silence, for lines on which somebody
    /// talks.
    void look_after(std::int64_t now_ms);
    std::optional<SentValue> to_sent(std::uint32_t index, const things_value& value);
    void set_written(const SerialPoint& point, const std::string& shown, const things_value& value,
                     things_value& written);

    PluginHost host_;
    SourceProblems problems_;
    SerialOptions options_;
    LineRecord record_;
    std::vector<SerialPoint> points_;
    std::vector<State> states_;
    JsonReader json_;
    FrameReader reader_;
    TcpConnector connector_;
    std::optional<Stream> stream_;
    Question* question_ = nullptr;
    SteadyTime open_at_{};
    std::chrono::milliseconds pause_;
    std::int64_t last_byte_ms_ = 0, last_frame_ms_ = 0, last_damage_ms_ = 0, told_damage_ms_ = 0;
    FrameDamage::Kind told_damage_ = FrameDamage::Kind::checksum;
    LineRecord::Cause told_silence_ = LineRecord::Cause::nothing;
    /// is_quiet_: the silence since the last byte was told to the reader. is_first_: no frame yet since the
    /// link was opened; damage before it is the rest of a frame and not told.
    bool is_quiet_ = true, is_lost_ = false, is_silent_ = false, is_damaging_ = false;
    bool has_talkers_ = false, is_first_ = true, is_discovering_ = false;
    std::string written_text_, lost_why_;
};

} // namespace things
