// SPDX-License-Identifier: Apache-2.0
#include "gateway/control_verbs.hpp"

#include "gateway/read_report.hpp"
#include "platform/clock.hpp"
#include "platform/json.hpp"
#include "queue/clock_trust.hpp"
#include "status/status_json.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

namespace things {

namespace {

constexpr int exit_failed = 1, exit_usage = 64, exit_unavailable = 69;
// Below the two minutes that the command line waits.
constexpr std::int64_t answer_within_ms = 60'000;
constexpr Milliseconds look_again{200};

std::vector<std::uint64_t> numbers_of(const std::vector<std::string>& texts) {
    std::vector<std::uint64_t> numbers;
    for (const std::string& text : texts) {
        std::uint64_t number = 0;
        const char* const end = text.data() + text.size();
        if (const auto parsed = std::from_chars(text.data(), end, number);
            parsed.ec == std::errc() && parsed.ptr == end)
            numbers.push_back(number);
    }
    return numbers;
}

std::string no_device(const ControlRequest& request) {
    return fmt::format("there is no device \"{}\"", request.text("device"));
}

/// With the exit code that the command line promises for each way a write can end.
void finish_write(ControlReply& reply, const std::string& outcome, LocalEnd end) {
    if (end == LocalEnd::done)
        return reply.finish(JsonWriter().object().member("outcome", outcome).end().take());
    // A device that was silent may answer later; what was refused stays refused.
    reply.fail(end == LocalEnd::silent    ? exit_unavailable
               : end == LocalEnd::unknown ? exit_usage
                                          : exit_failed,
               outcome);
}

/// The arguments of `scan` as the plugin's options: every argument that is not the request's own.
std::vector<Setting> scan_options(const ControlRequest& request) {
    std::vector<Setting> options;
    for (const auto& [key, values] : request.arguments) {
        if (key == "source" || values.empty())
            continue;
        Setting option;
        option.key = key;
        for (const std::string& text : values) {
            std::int64_t number = 0;
            const auto end = std::from_chars(text.data(), text.data() + text.size(), number);
            option.items.emplace_back(end.ec == std::errc() && end.ptr == text.data() + text.size()
                                          ? Scalar(number)
                                          : Scalar(text));
        }
        option.value = option.items.front();
        options.push_back(std::move(option));
    }
    return options;
}

/// Results of a scan on their way from the source's thread to the client: each is a progress line, and the
/// end.
struct ScanRelay {
    boost::asio::io_context& loop;
    SharedReply reply; // with the connection: either may end first
    template <typename Call>
    void relay(Call call) const {
        boost::asio::post(loop, [reply = reply, call = std::move(call)] { call(*reply); });
    }
};

} // namespace

/// A post that somebody waits for.
struct ControlVerbs::PostedNow {
    DeviceId device;
    SharedReply reply;
    boost::asio::steady_timer timer;
    std::int64_t until_boot_ms;
    bool is_answered = false;
};

ControlVerbs::ControlVerbs(const ControlParts& parts) : parts_(parts) {
    add_status();
    add_bus();
    add_queue();
}

const DeviceConfig* ControlVerbs::find_device(const std::string& name) const {
    for (const DeviceConfig& device : parts_.config.devices)
        if (device.name == name)
            return &device;
    return nullptr;
}

bool ControlVerbs::is_configured(const std::string& source) const {
    const auto& all = parts_.config.sources;
    return std::any_of(all.begin(), all.end(), [&source](const SourceConfig& s) { return s.name == source; });
}

void ControlVerbs::add_status() {
    parts_.control.add("status", [this](const ControlRequest&, const SharedReply& reply) {
        reply->finish(status_json(parts_.view.snapshot()));
    });
    parts_.control.add("commands", [this](const ControlRequest& request, const SharedReply& reply) {
        // The audit of a long time is on flash: the answer comes when it was read.
        const auto most = numbers_of(request.list("most"));
        const std::uint64_t count = most.empty() ? 50 : std::min<std::uint64_t>(most.front(), SIZE_MAX);
        parts_.queue.load_audit(request.text("device"), static_cast<std::size_t>(count),
                                [reply](const std::vector<Command>& commands) {
                                    std::vector<CommandView> views;
                                    views.reserve(commands.size());
                                    for (const Command& command : commands)
                                        views.push_back(view_of(command));
                                    reply->finish(commands_json(views));
                                });
    });
}

void ControlVerbs::add_bus() {
    const auto with_device = [this](auto act) {
        return [this, act](const ControlRequest& request, const SharedReply& reply) {
            const DeviceConfig* device = find_device(request.text("device"));
            if (!device)
                return reply->fail(exit_usage, no_device(request));
            act(*device, request, reply);
        };
    };
    parts_.control.add("read", with_device([this](const DeviceConfig& device, const ControlRequest& request,
                                                  const SharedReply& reply) {
                           read_points(device, request.list("points"),
                                       [reply](const std::string& json) { reply->finish(json); });
                       }));
    parts_.control.add("send",
                       with_device([this](const DeviceConfig& device, const ControlRequest&,
                                          const SharedReply& reply) { send_now(device, reply); }),
                       true);
    parts_.control.add("write",
                       with_device([this](const DeviceConfig& device, const ControlRequest& request,
                                          const SharedReply& reply) {
                           parts_.router.write_local(device.name, request.text("point"),
                                                     request.text("value"),
                                                     [reply](const std::string& outcome, LocalEnd end) {
                                                         finish_write(*reply, outcome, end);
                                                     });
                       }),
                       true);
    parts_.control.add("scan", [this](const ControlRequest& request, const SharedReply& reply) {
        const std::string name = request.text("source");
        Source* source = parts_.sources.find(name);
        if (!source && is_configured(name)) // nobody owns that bus: a new line, before its devices are known
            return reply->finish(JsonWriter().object().member("unused", true).end().take());
        if (!source)
            return reply->fail(exit_usage, fmt::format("there is no source \"{}\"", name));
        // The calls below come from the source's thread; replies belong to the loop.
        const ScanRelay relay{parts_.loop, reply};
        source->discover(
            scan_options(request),
            [relay](std::string json) {
                relay.relay([json = std::move(json)](ControlReply& to) {
                    to.progress(JsonWriter().object().key("found").raw(json).end().take());
                });
            },
            [relay](double part) {
                relay.relay([part](ControlReply& to) {
                    to.progress(JsonWriter().object().member("part", part).end().take());
                });
            },
            [relay](std::string error) {
                relay.relay([error = std::move(error)](ControlReply& to) {
                    if (error.empty())
                        to.finish();
                    else
                        to.fail(exit_unavailable, error);
                });
            });
    });
}

void ControlVerbs::add_queue() {
    parts_.control.add("queue show", [this](const ControlRequest& request, const SharedReply& reply) {
        const DeviceConfig* device = find_device(request.text("device"));
        if (!device && !request.text("device").empty())
            return reply->fail(exit_usage, no_device(request));
        reply->finish(letters_json(parts_.queue.dead_letters(), device ? device->dvnuuid : std::string()));
    });
    const auto letters = [this](const ControlRequest& request) {
        std::vector<std::uint64_t> ids = numbers_of(request.list("ids"));
        const DeviceConfig* device = find_device(request.text("device"));
        for (const DeadLetter& letter : parts_.queue.dead_letters())
            if (request.is_set("all") || (device && letter.dvnuuid == device->dvnuuid))
                ids.push_back(letter.id);
        return ids;
    };
    const auto count = [](std::size_t n) {
        return JsonWriter().object().member("count", std::uint64_t{n}).end().take();
    };
    parts_.control.add(
        "queue retry",
        [this, letters, count](const ControlRequest& request, const SharedReply& reply) {
            const std::size_t n = parts_.queue.retry_dead(letters(request));
            if (const auto id = parts_.devices.id(request.text("device")))
                parts_.uploader.retry_now(*id);
            reply->finish(count(n));
        },
        true);
    parts_.control.add(
        "queue adopt",
        [this](const ControlRequest& request, const SharedReply& reply) {
            parts_.queue.adopt(request.text("file"), request.is_set("rescue"),
                               [this, reply, name = request.text("name")](AdoptResult result) {
                                   parts_.on_adopted();
                                   result.file = name.empty() ? result.file : name;
                                   reply->finish(adopt_json(result));
                               });
        },
        true);
    parts_.control.add(
        "queue drop",
        [this, letters, count](const ControlRequest& request, const SharedReply& reply) {
            reply->finish(count(parts_.queue.drop_dead(letters(request))));
        },
        true);
}

void ControlVerbs::read_points(const DeviceConfig& device, std::vector<std::string> points,
                               const std::function<void(const std::string&)>& done) {
    struct Gathered {
        DeviceConfig device; // a copy: a reload may come in between
        std::vector<PointResult> results;
        std::size_t missing = 0;
    };
    auto all = std::make_shared<Gathered>(); // owned by the handlers that are still to come
    all->device = device;
    for (const PointConfig& point : all->device.points)
        if (points.empty() ? !point.write_only
                           : std::find(points.begin(), points.end(), point.name) != points.end())
            all->results.push_back({&point, {}});
    all->missing = all->results.size();
    if (all->missing == 0)
        return done(read_report(all->device, {}, parts_.clock.wall_ms()));
    for (std::size_t i = 0; i < all->results.size(); ++i)
        parts_.sources.read(all->device.name, all->results[i].point->name,
                            [this, all, i, done](BusResult result) {
                                all->results[i].result = std::move(result);
                                if (--all->missing == 0)
                                    done(read_report(all->device, all->results, parts_.clock.wall_ms()));
                            });
}

void ControlVerbs::send_now(const DeviceConfig& device, const SharedReply& reply) {
    if (!parts_.queue.clock_trust().anchor()) // it would wait unseen
        return reply->fail(exit_unavailable, parts_.clock_words());
    struct Gathered {
        std::size_t missing = 0, read = 0;
        std::string problem; // of the first point that could not be read
    };
    auto all = std::make_shared<Gathered>(); // owned by the handlers still to come
    std::vector<PointConfig> points;
    std::copy_if(device.points.begin(), device.points.end(), std::back_inserter(points),
                 [](const PointConfig& point) { return !point.write_only; });
    if (points.empty())
        return reply->fail(exit_failed, fmt::format("\"{}\" has no point that can be read", device.name));
    all->missing = points.size();
    for (const PointConfig& point : points)
        parts_.sources.read(
            device.name, point.name,
            [this, all, reply, name = device.name, point = point.name](BusResult result) {
                const PointConfig* config = parts_.sources.find_point(name, point);
                // Like an outcome: queued and shown, although its report rules may say otherwise.
                if (result.status == BusResult::Status::ok && config) {
                    ++all->read;
                    parts_.take_outcome({name, point, config->unit, std::move(result.value), result.stamp});
                } else if (all->problem.empty()) {
                    all->problem = fmt::format("{}: {}", point, result.text);
                }
                if (--all->missing != 0)
                    return;
                if (all->read == 0)
                    reply->fail(
                        exit_unavailable,
                        fmt::format("no point of \"{}\" could be read, so there is nothing to send; {}", name,
                                    all->problem));
                else
                    post_now(name, reply);
            });
}

void ControlVerbs::post_now(const std::string& device, const SharedReply& reply) {
    const std::optional<DeviceId> id = parts_.devices.id(device);
    if (!id) // a reload came in between
        return reply->fail(exit_failed, fmt::format("\"{}\" is no longer configured", device));
    auto post = std::make_shared<PostedNow>(
        PostedNow{*id, reply, boost::asio::steady_timer(parts_.loop),
                  parts_.clock.boot_ms() + answer_within_ms}); // owned by its two handlers
    parts_.uploader.on_next_answer(*id, [post](const PostResult& result) {
        post->timer.cancel();
        if (!std::exchange(post->is_answered, true))
            post->reply->finish(JsonWriter()
                                    .object()
                                    .member("accepted", result.is_accepted)
                                    .member("status", result.status)
                                    .member("answer", result.text)
                                    .end()
                                    .take());
    });
    // After asking for the answer: the post may leave at once.
    parts_.uploader.retry_now(*id);
    parts_.uploader.request_post(*id);
    look_for_hold(post);
}

void ControlVerbs::look_for_hold(const std::shared_ptr<PostedNow>& post) {
    if (post->is_answered)
        return;
    std::string why_not = parts_.uploader.find_hold(post->device);
    if (why_not.empty() && parts_.clock.boot_ms() > post->until_boot_ms)
        why_not = fmt::format("no answer within a minute ({}); the readings stay in the queue",
                              parts_.uploader.status(post->device).state);
    if (!why_not.empty()) {
        post->is_answered = true;
        return post->reply->fail(exit_unavailable, why_not);
    }
    post->timer.expires_after(look_again);
    post->timer.async_wait([this, post](boost::system::error_code error) {
        if (!error)
            look_for_hold(post);
    });
}

} // namespace things
