// Command imagelint checks the Dockerfile without a container engine.
//
// It owns two checks. The first is BuildKit's own: the same code that `docker
// build --check` runs parses every stage, expands its variables, converts it to
// build steps and reports each rule that is broken. The second is the house's:
// base images carry a version, nothing is downloaded by ADD, and the last stage
// runs as a numeric user that is not root.
//
// It can also write out the build context as .dockerignore leaves it, so that CI
// runs the image's build command on exactly the files that an engine would see.
//
// It does not pull an image, does not run a step and does not lint the shell in
// RUN lines: the build is a make target and the scripts are linted by shellcheck.
package main
