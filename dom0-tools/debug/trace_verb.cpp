// SPDX-License-Identifier: GPL-2.0-only
#include "cli/verbs.hpp"

#include <algorithm>
#include <csignal>

#include <fcntl.h>
#include <unistd.h>

#include "base/io.hpp"
#include "cli/text.hpp"
#include "debug/domain_id.hpp"
#include "debug/trace_buffers.hpp"
#include "debug/trace_text.hpp"
#include "hv/hypervisor.hpp"
#include "hv/privcmd.hpp"
#include "lib/abi.hpp"

// `streak trace`: what the hypervisor does for its guests, as it happens or out of a file of xentrace's.

namespace streak::cli {
namespace {

using debug::TraceEvent;
using debug::TraceRecord;
using Kind = TraceEvent::Kind;
using Clock = std::chrono::steady_clock;

constexpr std::uint32_t pages_of_a_ring = 64;
constexpr std::chrono::milliseconds between_looks{20};

volatile std::sig_atomic_t asked_to_end = 0;

/// What is shown.
struct Choice {
    bool calls = true, traps = true, scheduling = true;
    std::optional<std::uint32_t> domain;

    [[nodiscard]] bool shows(const TraceEvent& e) const {
        if (e.kind == Kind::loss) return true;
        if (domain && e.vcpu.domain != *domain && e.next.domain != *domain) return false;
        switch (e.kind) {
        case Kind::call:
        case Kind::call_end: return calls;
        case Kind::trap:
        case Kind::page_fault: return traps;
        default: return scheduling;
        }
    }
    /// Switches are needed to know whose calls they are.
    [[nodiscard]] std::uint32_t events() const { return TRC_SCHED | (calls || traps ? TRC_PV : 0); }
};

/// Writes what records say to a file or to standard output.
class Output {
public:
    Output(bool json, Choice choice, std::uint64_t khz) : json_(json), choice_(choice), clock_{.khz = khz} {}

    Outcome<> open(const std::string& path) {
        file_ = base::Fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        if (!file_) return std::unexpected(Failure(base::errno_error("can't write " + printable(path), errno).error()));
        return {};
    }
    /// Records in the order of time.
    void add(std::span<const TraceRecord> records) {
        if (records.empty()) return;
        if (!chrome_) {
            clock_.first = records.front().tsc;
            chrome_.emplace(clock_);
            if (json_) text_ += debug::ChromeTrace::begin();
        }
        for (const auto& record : records)
            if (const auto event = follower_.add(record)) show(*event);
        records_ += records.size();
        flush();
    }
    void end() {
        if (!chrome_) add(std::array{TraceRecord{}});
        if (json_)
            for (const auto& event : follower_.finish()) show(event);
        if (json_) text_ += chrome_->end(follower_.lost());
        flush();
    }
    /// False once nobody takes it any more.
    [[nodiscard]] bool good() const { return good_; }
    [[nodiscard]] std::string summary() const {
        return std::to_string(records_) + " records, " + std::to_string(follower_.lost()) + " lost" +
               (follower_.unknown() == 0 ? "" : ", " + std::to_string(follower_.unknown()) + " of unknown kinds") +
               "\n";
    }

private:
    void show(const TraceEvent& event) {
        if (choice_.shows(event)) text_ += json_ ? chrome_->add(event) : debug::event_line(event, clock_);
    }
    void flush() {
        good_ = good_ && base::write_all(file_ ? file_.get() : STDOUT_FILENO, text_);
        text_.clear();
    }

    bool json_, good_ = true;
    Choice choice_;
    debug::TraceClock clock_;
    debug::TraceFollower follower_;
    std::optional<debug::ChromeTrace> chrome_;
    base::Fd file_;
    std::string text_;
    std::uint64_t records_ = 0;
};

void handle_signals() {
    struct sigaction end{};
    end.sa_handler = [](int) { asked_to_end = 1; };
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &end, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
}

/// Writes those from before `until`: no CPU will tell of anything that happened earlier.
void write_until(Output& output, std::vector<TraceRecord>& records, std::uint64_t until) {
    std::ranges::stable_sort(records, {}, &TraceRecord::tsc);
    const auto end = std::ranges::lower_bound(records, until, {}, &TraceRecord::tsc);
    output.add({records.begin(), end});
    records.erase(records.begin(), end);
}

Outcome<> record(hv::Port& port, Output& output, std::uint32_t events, std::optional<std::uint32_t> seconds) {
    handle_signals();
    TRY_ASSIGN(buffers, debug::TraceBuffers::open(port, pages_of_a_ring));
    const auto end = Clock::now() + std::chrono::seconds(seconds.value_or(0));
    TRY(buffers.start(events));
    std::vector<TraceRecord> records;
    while (asked_to_end == 0 && output.good() && (!seconds || Clock::now() < end)) {
        sleep_for(between_looks);
        const std::uint64_t now = __builtin_ia32_rdtsc();
        buffers.take(records);
        write_until(output, records, now);
    }
    buffers.stop();
    buffers.take(records);
    write_until(output, records, ~0ull);
    return {};
}

Outcome<> read_trace(Context& context, const std::string& path, Output& output) {
    const base::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return std::unexpected(Failure(base::errno_error("can't read " + printable(path), errno).error()));
    std::vector<std::byte> piece(1 << 20);
    std::vector<TraceRecord> records;
    debug::RecordReader reader;
    for (std::uint64_t at = 0;;) {
        const auto bytes = base::read_all_at(file.get(), piece, at);
        if (!bytes) return std::unexpected(Failure(base::errno_error("can't read " + printable(path), errno).error()));
        if (*bytes == 0) break;
        reader.read(std::span(piece).first(*bytes), records);
        at += *bytes;
    }
    if (reader.pending() != 0) context.note("the file ends within a record\n");
    write_until(output, records, ~0ull);
    return {};
}

Outcome<Choice> parse_choice(Context& context, const Options::Value& events, const Options::Value& domain) {
    Choice choice;
    if (events) {
        choice.calls = choice.traps = choice.scheduling = false;
        for (std::string_view rest = *events; !rest.empty();) {
            const auto word = rest.substr(0, rest.find(','));
            rest.remove_prefix(std::min(word.size() + 1, rest.size()));
            if (word == "hypercall") choice.calls = true;
            else if (word == "trap") choice.traps = true;
            else if (word == "sched") choice.scheduling = true;
            else
                return base::error(base::ErrorKind::usage, "no events are called '" + printable(word) + "'",
                                   "hypercall, trap, sched");
        }
    }
    if (domain) {
        TRY_ASSIGN(id, domain_id(context, *domain));
        choice.domain = id.raw();
    }
    return choice;
}

struct Wanted {
    const Options::Value &seconds, &domain, &events, &output, &input;
};

Outcome<> trace(Context& context, const Wanted& wanted) {
    std::optional<std::uint32_t> seconds;
    if (wanted.seconds) {
        TRY_ASSIGN(number, parse_number("number of seconds", *wanted.seconds, 1, 86'400));
        seconds = number;
    }
    TRY_ASSIGN(choice, parse_choice(context, wanted.events, wanted.domain));
    auto port = hv::Privcmd::open();
    if (!port && !wanted.input) return std::unexpected(Failure(port.error()));
    std::uint64_t khz = 1'000'000; // of a file that is looked at elsewhere
    if (port)
        if (const auto host = hv::Hypervisor(**port).host_info(); host && host->cpu_khz != 0) khz = host->cpu_khz;
    Output output(context.json(), choice, khz);
    if (wanted.output) TRY(output.open(*wanted.output));
    TRY(wanted.input ? read_trace(context, *wanted.input, output) : record(**port, output, choice.events(), seconds));
    output.end();
    context.note(output.summary());
    if (!output.good() && wanted.output)
        return std::unexpected(Failure(base::errno_error("can't write " + printable(*wanted.output), errno).error()));
    return {};
}

} // namespace

Action declare_trace(Options& options) {
    const auto& seconds = options.value("--seconds", "N", "for how long (until Ctrl-C)");
    const auto& domain = options.value("--domain", "DOMAIN", "only what concerns this domain");
    const auto& events = options.value("--events", "LIST", "of hypercall, trap, sched (all)");
    const auto& output = options.value("--output", "FILE", "write there");
    const auto& input = options.value("--input", "FILE", "what xentrace wrote, instead of what happens now");
    return
        [wanted = Wanted{seconds, domain, events, output, input}](Context& context) { return trace(context, wanted); };
}

} // namespace streak::cli
