# A Homebrew formula for a tap. At a release, fill in where the source archive lies and its checksum:
#   sed -e "s|@URL@|$url|" -e "s|@SHA256@|$(shasum -a 256 orchd-*.tar.gz | cut -d' ' -f1)|" orchd.rb
class Orchd < Formula
  desc "Multi-process orchestrator for AI coding agents: kill any part of it, lose nothing"
  homepage "https://pypi.org/project/orchd/"
  url "@URL@"
  sha256 "@SHA256@"
  license "Apache-2.0"

  depends_on "git"
  depends_on "python@3.12"
  depends_on "tmux"

  def install
    python = Formula["python@3.12"].opt_libexec/"bin/python"
    system python, "-m", "venv", libexec
    pip = [libexec/"bin/python", "-m", "pip", "--disable-pip-version-check", "install"]
    system(*pip, "--require-hashes", "-r", "requirements/run.lock")
    system(*pip, "--no-deps", ".")
    bin.install_symlink libexec/"bin/orch", libexec/"bin/orchd"
    generate_completions_from_executable(bin/"orch", "completions")
  end

  # No service block: Homebrew's would start orchd with a PATH on which no agent is found.
  def caveats
    <<~EOS
      To start orch at login, with the PATH that you have now:
        orch service install && orch service start
      After an upgrade, agents go on while every process is replaced:
        orch service upgrade
    EOS
  end

  test do
    ENV["ORCH_HOME"] = testpath/"home"
    assert_match version.to_s, shell_output("#{bin}/orch version")
    assert_match "done", shell_output("#{bin}/orch demo")
  end
end
