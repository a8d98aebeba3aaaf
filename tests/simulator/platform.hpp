// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "simulator/behaviour.hpp"
#include "simulator/http.hpp"
#include "simulator/ledger.hpp"
#include "simulator/senml_check.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

// KPN Things as a device sees it: devices and their secrets, the verdict on each post, downlinks handed out
// one an answer, faults on demand. Knows nothing of sockets; the time is an argument. One thread.
namespace things::simulator {

struct Downlink {
    std::uint64_t id = 0;
    std::string body;
    int status = 200; // KPN's library expects 200 with a downlink, the page says 202
    std::string content_type = "application/json";
    std::optional<double> handed_over;
};

struct Device {
    std::string id;        // DvnUUID, or "=" and a base name of another form
    std::string name;      // for people; may be empty
    std::string base_name; // urn:dev:DVNUUID:<id>:
    std::string secret;
    bool is_removed = false;
    std::deque<Downlink> waiting;
    std::uint64_t packs = 0, readings = 0, refused = 0;
    std::uint32_t in_flight = 0;
    std::string last_refusal;
};

struct Refusal {
    double at = 0;
    int status = 0;
    std::string device, reason, body; // the first 400 bytes of the body
};

struct Statistics {
    std::uint64_t requests = 0, accepted = 0, bytes = 0, played = 0, repeated = 0, white_space = 0,
                  overlapping = 0;
    std::uint64_t downlinks = 0, largest_body = 0, most_readings = 0;
    std::map<std::string, std::uint64_t> refused; // by status and reason, at most 1000 reasons
};

struct PlatformOptions {
    Rules rules;
    std::size_t max_body = 1 << 20;
    std::size_t keep = 1'000'000;
    bool is_verbose = false;
    bool refuses_white_space = false;
};

class Platform {
public:
    explicit Platform(PlatformOptions options);

    /// Checks one post and acts on it. The connection calls `written` when the answer has left or the client
    /// is gone.
    Answer answer(const Request& request, double now);
    /// What goes back before the body is read, if the next behaviour for any device says so.
    std::optional<Answer> answer_early();
    void written(const Answer& answer);

    /// Adds a device or changes its secret. `id` is a DvnUUID or a whole base name ("urn:dev:...:", or with a
    /// colon).
    void set_device(const std::string& id, const std::string& secret, const std::string& name);
    bool remove_device(const std::string& id);
    /// By DvnUUID, base name or name.
    Device* find_device(std::string_view text);
    [[nodiscard]] std::optional<std::uint32_t> number_of(std::string_view text) const;

    std::uint64_t add_downlink(Device& device, Downlink downlink);
    void add_behaviour(Behaviour behaviour) { behaviours_.push_back(std::move(behaviour)); }
    void set_max_body(std::size_t bytes) { options_.max_body = bytes; }
    void clear_behaviours() { behaviours_.clear(); }
    /// Forgets everything but the devices.
    void clear();

    [[nodiscard]] const std::vector<Device>& devices() const { return devices_; }
    [[nodiscard]] std::vector<std::string> device_ids() const;
    [[nodiscard]] const std::list<Behaviour>& behaviours() const { return behaviours_; }
    [[nodiscard]] const std::deque<Refusal>& refusals() const { return refusals_; }
    [[nodiscard]] const std::deque<std::pair<std::string, Downlink>>& handed_over() const {
        return handed_over_;
    }
    [[nodiscard]] const std::deque<std::string>& bodies() const { return bodies_; }
    [[nodiscard]] const Statistics& statistics() const { return statistics_; }
    [[nodiscard]] const Ledger& ledger() const { return ledger_; }
    Ledger& ledger() { return ledger_; }

private:
    struct Verdict {
        int status = 202;
        std::string reason;
    };
    [[nodiscard]] Verdict check_request(const Request& request) const;
    [[nodiscard]] Verdict check_pack(const Request& request, const Checked& checked,
                                     const Device* device) const;
    Behaviour* find_behaviour(const Device* device);
    Answer accept(const Request& request, const Checked& checked, Device& device, double now);
    Answer refuse(const Request& request, const Verdict& verdict, Device* device, double now);
    void say(const Device& device, const Pack& pack, const Downlink* downlink) const;

    PlatformOptions options_;
    std::vector<Device> devices_; // never shrinks: the ledger knows them by number
    std::map<std::string, std::uint32_t, std::less<>> by_base_name_;
    std::list<Behaviour> behaviours_;
    std::deque<Refusal> refusals_;
    std::deque<std::pair<std::string, Downlink>> handed_over_; // the last 10 000, with the device's id
    std::deque<std::string> bodies_;                           // the last 100 accepted
    std::unordered_set<std::string> tokens_;                   // of accepted packs, to count repeats
    Statistics statistics_;
    Ledger ledger_;
    std::uint64_t last_downlink_ = 0;
};

} // namespace things::simulator
