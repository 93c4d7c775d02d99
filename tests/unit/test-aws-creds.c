// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where AWS credentials come from, and in which order: against tests/providers/fakecreds.py,
 * which is STS, a container's and an instance's service in one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <cmocka.h>

#include "creds-private.h"
#include "kms-fixture.h"
#include "kms-wire.h"

#define KEY_ID "AKIAIOSFODNN7EXAMPLE"
#define SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define ROLE "arn:aws:iam::111122223333:role/"

static int port;
static pid_t server;
static char dir[64];
static struct kh kh;
static struct aws_creds creds;

/* --- the fixture ------------------------------------------------------------ */

static const char *in_dir(const char *name)
{
	static char paths[4][128];
	static unsigned int i;
	char *path = paths[i++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static const char *write_file(const char *name, const char *text)
{
	const char *path = in_dir(name);
	FILE *f;

	unlink(path);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	chmod(path, 0600);
	return path;
}

static const char *program(const char *name, const char *text)
{
	const char *path = write_file(name, text);

	chmod(path, 0755);
	return path;
}

static const char *url(const char *path)
{
	static char urls[4][128];
	static unsigned int i;
	char *s = urls[i++ % 4];

	snprintf(s, sizeof(urls[0]), "http://127.0.0.1:%d%s", port, path);
	return s;
}

/* What the server answers to POST /control. */
static const char *control(const char *json)
{
	static char buf[262144];
	const struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t len = 0;
	ssize_t n;
	char *body;

	assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	dprintf(fd, "POST /control HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s", strlen(json),
		json);
	while ((n = read(fd, buf + len, sizeof(buf) - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	buf[len] = '\0';
	body = strstr(buf, "\r\n\r\n");
	if (strncmp(buf, "HTTP/1.1 200", 12) || !body)
		fail_msg("control %s: %s", json, buf);
	return body + 4;
}

static bool served(const char *text)
{
	return strstr(control("{\"stats\": true}"), text) != NULL;
}

static int up(void **state)
{
	char line[32] = "";
	int out[2];

	(void)state;
	strcpy(dir, "/tmp/kcache-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	server = fork();
	if (!server) {
		dup2(out[1], STDOUT_FILENO);
		execl("/usr/bin/python3", "python3", KC_TESTDIR "/../providers/fakecreds.py", NULL);
		_exit(127);
	}
	close(out[1]);
	assert_true(read(out[0], line, sizeof(line) - 1) > 0);
	close(out[0]);
	port = atoi(line);
	assert_true(port > 0);
	assert_int_equal(aws_http_init(), 0);
	return 0;
}

static int down(void **state)
{
	(void)state;
	kill(server, SIGTERM);
	waitpid(server, NULL, 0);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

/* A host on which nothing is configured, and the metadata service is off. */
static int fresh_host(void **state)
{
	extern char **environ;
	char name[128];
	size_t i;

	(void)state;
	for (i = 0; environ[i];) {
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(environ[i], "="), environ[i]);
		if (!strncmp(name, "AWS_", 4))
			unsetenv(name);
		else
			i++;
	}
	setenv("HOME", dir, 1);
	setenv("AWS_CONFIG_FILE", in_dir("config"), 1);
	setenv("AWS_SHARED_CREDENTIALS_FILE", in_dir("credentials"), 1);
	setenv("AWS_ENDPOINT_URL_STS", url(""), 1);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	setenv("AWS_REGION", "eu-central-1", 1);
	unlink(in_dir("config"));
	unlink(in_dir("credentials"));
	control("{\"reset\": true}");
	memset(&kh, 0, sizeof(kh));
	kh.deadline = kc_wire_now() + 20000;
	return 0;
}

static int end(void **state)
{
	(void)state;
	aws_creds_close();
	return 0;
}

static void get_as(bool fresh, const char *id, const char *source)
{
	kh_forget(&kh);
	if (aws_creds_get(&kh, fresh, &creds))
		fail_msg("%s: %s (%s)", kh.name, kh.text, kh.next);
	if (strncmp(creds.access_key, id, strlen(id)))
		fail_msg("access key %s of %s", creds.access_key, creds.source);
	if (!strstr(creds.source, source))
		fail_msg("source is \"%s\", not %s", creds.source, source);
	assert_non_null(creds.secret);
}

static void got(const char *id, const char *source)
{
	get_as(true, id, source);
}

static void not(enum kh_error e, const char *text)
{
	kh_forget(&kh);
	if (!aws_creds_get(&kh, true, &creds))
		fail_msg("credentials of %s, not \"%s\"", creds.source, text);
	if (kh.error != e || !strstr(kh.text, text))
		fail_msg("%s: \"%s\", not \"%s\"", kh.name, kh.text, text);
	if (strstr(kh.text, SECRET) || strstr(kh.next, SECRET))
		fail_msg("the secret is in \"%s\"", kh.text);
}

static void imds_here(void)
{
	unsetenv("AWS_EC2_METADATA_DISABLED");
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url("/"), 1);
}

static void config(const char *fmt, ...)
{
	char text[8192];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	write_file("config", text);
}

#define KEYS "aws_access_key_id = " KEY_ID "\naws_secret_access_key = " SECRET "\n"

/* --- the order -------------------------------------------------------------- */

static void the_first_source_that_is_configured_counts(void **state)
{
	setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", write_file("token", "the-web-token\n"), 1);
	setenv("AWS_ROLE_ARN", ROLE "web", 1);
	config("[default]\n" KEYS);
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url("/container/open?id=1"), 1);
	imds_here();
	got("AKIAENVIRONMENT", "the environment");
	unsetenv("AWS_ACCESS_KEY_ID");
	unsetenv("AWS_SECRET_ACCESS_KEY");
	got("ASIA", "role " ROLE "web");
	unsetenv("AWS_WEB_IDENTITY_TOKEN_FILE");
	got(KEY_ID, "profile \"default\"");
	unlink(in_dir("config"));
	got("ASIA", "container");
	assert_non_null(strstr(creds.session_token, "/container=="));
	unsetenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	got("ASIA", "the instance's role the-role");
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	not(KH_CREDENTIALS, "there are no AWS credentials: none in the environment");
	assert_non_null(strstr(kh.text, in_dir("config")));
}

static void a_source_that_is_configured_and_fails_is_the_answer(void **state)
{
	config("[default]\n" KEYS);
	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", write_file("token", "another token"), 1);
	setenv("AWS_ROLE_ARN", ROLE "web", 1);
	not(KH_CREDENTIALS, "not a valid JWT");
	unsetenv("AWS_WEB_IDENTITY_TOKEN_FILE");
	got(KEY_ID, "default");
}

static void half_of_the_environment_is_refused(void **state)
{
	setenv("AWS_ACCESS_KEY_ID", KEY_ID, 1);
	not(KH_CREDENTIALS, "AWS_ACCESS_KEY_ID without AWS_SECRET_ACCESS_KEY");
	setenv("AWS_SECRET_ACCESS_KEY", "a\r\nX-Other: header", 1);
	not(KH_CREDENTIALS, "strange characters");
	setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
	setenv("AWS_SESSION_TOKEN", "to ken", 1);
	not(KH_CREDENTIALS, "strange characters");
	setenv("AWS_SESSION_TOKEN", "token", 1);
	got(KEY_ID, "environment");
	assert_string_equal(creds.secret, SECRET);
	assert_string_equal(creds.session_token, "token");
	assert_int_equal(creds.expires, 0);
}

/* --- web identity ----------------------------------------------------------- */

static void a_web_identity_becomes_a_role(void **state)
{
	char host[65] = "", want[128];

	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", in_dir("none"), 1);
	not(KH_CREDENTIALS, "AWS_ROLE_ARN is not");
	setenv("AWS_ROLE_ARN", ROLE "web", 1);
	not(KH_CREDENTIALS, "there is no web identity token");
	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", write_file("token", "two\nlines"), 1);
	not(KH_CREDENTIALS, "not one line");
	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", write_file("token", "the-web-token"), 1);
	got("ASIA", "AWS_WEB_IDENTITY_TOKEN_FILE");
	assert_in_range(creds.expires, time(NULL) + 3500, time(NULL) + 3700);
	gethostname(host, sizeof(host) - 1);
	snprintf(want, sizeof(want), "\"RoleSessionName\": \"kcache-%.20s", host);
	assert_true(served(want));
	assert_true(served("\"agent\": \"kcache/"));
	setenv("AWS_ROLE_SESSION_NAME", "a name", 1);
	control("{\"iso\": true}");
	got("ASIA", "web");
	assert_in_range(creds.expires, time(NULL) + 3500, time(NULL) + 3700);
	assert_true(served("\"RoleSessionName\": \"a name\""));
	setenv("AWS_ROLE_ARN", "not-an-arn", 1);
	not(KH_CREDENTIALS, "no role's ARN");
}

static void sts_that_is_not_well_is_asked_again_later(void **state)
{
	static const struct { const char *rule; enum kh_error error; const char *text; } rows[] = {
		{ "\"status\": 500", KH_UNREACHABLE, "status 500" },
		{ "\"status\": 503, \"body\": \"<html></html>\"", KH_UNREACHABLE, "status 503" },
		{ "\"status\": 400, \"body\": \"{\\\"Error\\\": {\\\"Code\\\": \\\"Throttling\\\"}}\"", KH_UNREACHABLE, "Throttling" },
		{ "\"status\": 400, \"body\": \"{\\\"Error\\\": {\\\"Code\\\": \\\"IDPCommunicationError\\\"}}\"", KH_UNREACHABLE,
		  "IDPCommunicationError" },
		{ "\"status\": 400, \"body\": \"{\\\"Error\\\": {\\\"Code\\\": \\\"ExpiredTokenException\\\"}}\"", KH_CREDENTIALS,
		  "ExpiredTokenException" },
		{ "\"status\": 403, \"body\": \"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>\"",
		  KH_CREDENTIALS, "no" },
		{ "\"status\": 407, \"body\": \"a proxy\"", KH_UNREACHABLE, "status 407" },
		{ "\"status\": 200, \"body\": \"{}\"", KH_GARBAGE, "is none" },
		{ "\"status\": 200, \"body\": \"\"", KH_GARBAGE, "is none" },
		{ "\"status\": 200, \"body\": \"[]\"", KH_GARBAGE, "is none" },
		{ "\"status\": 200, \"body\": \"{\\\"AssumeRoleWithWebIdentityResponse\\\": 1}\"", KH_GARBAGE, "is none" },
		{ "\"status\": 200, \"body\": \"{\\\"AssumeRoleWithWebIdentityResponse\\\": {\\\"AssumeRoleWithWebIdentityResult\\\": "
		  "{\\\"Credentials\\\": {\\\"AccessKeyId\\\": \\\"a\\\", \\\"SecretAccessKey\\\": \\\"b\\\"}}}}\"", KH_GARBAGE, "is missing" },
	};
	char rule[1024];
	size_t i;

	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", write_file("token", "the-web-token"), 1);
	setenv("AWS_ROLE_ARN", ROLE "web", 1);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(rule, sizeof(rule), "{\"fail\": {\"path\": \"/\", \"count\": 1, %s}}", rows[i].rule);
		control(rule);
		not(rows[i].error, rows[i].text);
	}
	setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9", 1);
	not(KH_UNREACHABLE, "127.0.0.1:9");
}

/* --- profiles ---------------------------------------------------------------- */

static void a_profile_has_keys(void **state)
{
	config("# a comment\n; another\n\n[profile work]\nREGION=eu-west-1\ns3 =\n  max_queue_size = 5\n" KEYS
	       "[default]\nregion = us-east-2\n[sso-session x]\nsso_start_url = y\nsso_start_url = y\n");
	setenv("AWS_PROFILE", "work", 1);
	got(KEY_ID, "profile \"work\"");
	assert_string_equal(creds.secret, SECRET);
	assert_null(creds.session_token);
	write_file("credentials", "[work]\naws_access_key_id=AKIAOTHER\naws_secret_access_key=s=s\naws_session_token=t\n");
	got("AKIAOTHER", "profile \"work\"");
	assert_string_equal(creds.secret, "s=s");
	assert_string_equal(creds.session_token, "t");
	setenv("AWS_PROFILE", "nobody", 1);
	not(KH_CREDENTIALS, "there is no AWS profile \"nobody\"");
	unsetenv("AWS_PROFILE");
	not(KH_CREDENTIALS, "there are no AWS credentials");
	config("[default]\naws_access_key_id = x\n");
	not(KH_CREDENTIALS, "one of aws_access_key_id and aws_secret_access_key");
	config("[default]\nsso_session = x\n");
	not(KH_CREDENTIALS, "SSO");
}

static void a_profile_has_a_role(void **state)
{
	write_file("credentials", "[base]\n" KEYS);
	config("[default]\nrole_arn = " ROLE "one\nsource_profile = base\nexternal_id = a b\nduration_seconds = 900\n"
	       "[profile second]\nrole_arn = " ROLE "two\nsource_profile = default\nrole_session_name = me\n"
	       "[profile self]\nrole_arn = " ROLE "three\nsource_profile = self\n" KEYS
	       "[profile round]\nrole_arn = " ROLE "x\nsource_profile = about\n"
	       "[profile about]\nrole_arn = " ROLE "x\nsource_profile = round\n"
	       "[profile refused]\nrole_arn = " ROLE "denied\nsource_profile = base\n"
	       "[profile external]\nrole_arn = " ROLE "external\nsource_profile = base\nexternal_id = 42\n"
	       "[profile mfa]\nrole_arn = " ROLE "x\nsource_profile = base\nmfa_serial = y\n"
	       "[profile none]\nrole_arn = " ROLE "x\n"
	       "[profile both]\nrole_arn = " ROLE "x\nsource_profile = base\ncredential_source = Environment\n"
	       "[profile nobody]\nrole_arn = " ROLE "x\nsource_profile = missing\n"
	       "[profile empty]\nrole_arn = " ROLE "x\nsource_profile = bare\n[profile bare]\nregion = x\n"
	       "[profile environment]\nrole_arn = " ROLE "x\ncredential_source = Environment\n"
	       "[profile other]\nrole_arn = " ROLE "x\ncredential_source = environment\n"
	       "[profile web]\nrole_arn = " ROLE "web\nweb_identity_token_file = %s\n"
	       "[profile ecs]\nrole_arn = " ROLE "ecs\ncredential_source = EcsContainer\n"
	       "[profile ec2]\nrole_arn = " ROLE "ec2\ncredential_source = Ec2InstanceMetadata\n"
	       "[profile odd]\nrole_arn = " ROLE "x\nsource_profile = base\nduration_seconds = 1h\n"
	       "[profile nowhere]\nrole_arn = " ROLE "x\nsource_profile = base\nregion = ../../x\n"
	       "[profile region]\nrole_arn = " ROLE "x\nsource_profile = base\nregion = ap-south-1\n",
	       write_file("token", "the-web-token"));
	got("ASIA", "role " ROLE "one (default)");
	assert_true(served("\"ExternalId\": \"a b\", \"DurationSeconds\": \"900\""));
	setenv("AWS_PROFILE", "second", 1);
	got("ASIA", "role " ROLE "two (second)");
	assert_true(served("\"RoleSessionName\": \"me\""));
	setenv("AWS_PROFILE", "self", 1);
	got("ASIA", "three");
	setenv("AWS_PROFILE", "round", 1);
	not(KH_CREDENTIALS, "too many source_profile");
	setenv("AWS_PROFILE", "refused", 1);
	not(KH_CREDENTIALS, "not authorized to perform: sts:AssumeRole on resource: " ROLE "denied");
	assert_string_equal(kh.name, "AccessDenied");
	setenv("AWS_PROFILE", "external", 1);
	got("ASIA", "external");
	setenv("AWS_PROFILE", "mfa", 1);
	not(KH_CREDENTIALS, "MFA");
	setenv("AWS_PROFILE", "none", 1);
	not(KH_CREDENTIALS, "not one of source_profile and credential_source");
	setenv("AWS_PROFILE", "both", 1);
	not(KH_CREDENTIALS, "not one of source_profile and credential_source");
	setenv("AWS_PROFILE", "nobody", 1);
	not(KH_CREDENTIALS, "the source_profile \"missing\", which has no credentials");
	setenv("AWS_PROFILE", "empty", 1);
	not(KH_CREDENTIALS, "the source_profile \"bare\", which has no credentials");
	setenv("AWS_PROFILE", "environment", 1);
	not(KH_CREDENTIALS, "the credential_source \"Environment\", which has no credentials");
	setenv("AWS_PROFILE", "other", 1);
	not(KH_CREDENTIALS, "the credential_source \"environment\"");
	setenv("AWS_PROFILE", "web", 1);
	got("ASIA", "role " ROLE "web (web)");
	setenv("AWS_PROFILE", "ecs", 1);
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url("/container/open?id=1"), 1);
	got("ASIA", "role " ROLE "ecs (ecs)");
	setenv("AWS_PROFILE", "ec2", 1);
	imds_here();
	got("ASIA", "role " ROLE "ec2 (ec2)");
	setenv("AWS_PROFILE", "odd", 1);
	not(KH_CREDENTIALS, "duration_seconds");
	setenv("AWS_PROFILE", "nowhere", 1);
	not(KH_CREDENTIALS, "no region");
	setenv("AWS_PROFILE", "region", 1);
	got("ASIA", "role");
}

static void a_wrong_secret_is_sts_to_refuse(void **state)
{
	config("[default]\nrole_arn = " ROLE "one\nsource_profile = default\naws_access_key_id = " KEY_ID
	       "\naws_secret_access_key = wrong\n");
	not(KH_CREDENTIALS, "signature we calculated does not match");
}

static void files_that_are_not_understood_are_refused(void **state)
{
	static const struct { const char *text, *error; } rows[] = {
		{ "aws_access_key_id = x\n", "config:1: this is before the first" },
		{ "[default]\n[]\n", "config:2: this is not \"[NAME]\"" },
		{ "[default\n", "config:1: this is not \"[NAME]\"" },
		{ "[profile ]\n", "config:1" },
		{ "[default]\n\n" SECRET "\n", "config:3: this is not \"key = value\"" },
		{ "[default]\n= x\n", "config:2: there is no key" },
		{ "[default]\nregion = a\nRegion = b\n", "config:3: the profile has this key already" },
		{ "[default]\nregion = a\n[profile x]\n[default]\nregion = b\n", "config:5: the profile has this key already" },
	};
	char *long_text;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		config("%s", rows[i].text);
		not(KH_CREDENTIALS, rows[i].error);
	}
	long_text = calloc(1, 70000);
	memset(long_text, '#', 69999);
	write_file("config", long_text);
	free(long_text);
	not(KH_CREDENTIALS, "longer than 65536 bytes");
	write_file("config", "[default]\n");
	i = (size_t)open(in_dir("config"), O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write((int)i, "\0\n", 2), 2);
	close((int)i);
	not(KH_CREDENTIALS, "NUL byte");
	unlink(in_dir("config"));
	assert_int_equal(mkfifo(in_dir("config"), 0600), 0);
	not(KH_CREDENTIALS, "not a regular file");
}

static void files_that_others_may_write_are_refused(void **state)
{
	config("[default]\n" KEYS);
	assert_int_equal(chmod(in_dir("config"), 0620), 0);
	not(KH_CREDENTIALS, "may be written by others (mode 0620)");
	assert_int_equal(chmod(in_dir("config"), 0602), 0);
	not(KH_CREDENTIALS, "may be written by others");
	assert_int_equal(chmod(in_dir("config"), 0644), 0);
	got(KEY_ID, "default");
	write_file("credentials", "[x]\n");
	assert_int_equal(chmod(in_dir("credentials"), 0666), 0);
	not(KH_CREDENTIALS, "may be written by others");
	unlink(in_dir("credentials"));
	if (geteuid() == 0) {
		assert_int_equal(chown(in_dir("config"), 1234, 0), 0);
		not(KH_CREDENTIALS, "belongs to user 1234");
	}
}

static void the_configured_file_is_read_where_nobody_has_a_home(void **state)
{
	struct json_object *settings = json_object_new_object();

	unsetenv("AWS_CONFIG_FILE");
	unsetenv("AWS_SHARED_CREDENTIALS_FILE");
	mkdir(in_dir(".aws"), 0700);
	write_file(".aws/config", "[default]\naws_access_key_id = AKIAHOME\naws_secret_access_key = s\n");
	got("AKIAHOME", "default");
	json_object_object_add(settings, "aws_config_file",
			       json_object_new_string(write_file("boot", "[default]\naws_access_key_id = AKIABOOT\n"
									 "aws_secret_access_key = s\nregion = eu-north-1\n")));
	kh.settings = settings;
	got("AKIABOOT", "default");
	unsetenv("HOME");
	got("AKIABOOT", "default");
	unsetenv("AWS_REGION");
	setenv("AWS_DEFAULT_REGION", "eu-west-3", 1);
	assert_string_equal(aws_region(&kh), "eu-west-3");
	unsetenv("AWS_DEFAULT_REGION");
	assert_string_equal(aws_region(&kh), "eu-north-1");
	json_object_put(settings);
	kh.settings = NULL;
}

/* --- credential_process ------------------------------------------------------- */

/* As a key helper begins: the broker is forked before anything else. */
static void with_broker(const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	config("[default]\ncredential_process = %s\n", line);
	aws_creds_close();
	assert_int_equal(aws_creds_prepare(), 0);
}

#define PRINTS "{\"Version\": 1, \"AccessKeyId\": \"AKIAPROCESS\", \"SecretAccessKey\": \"ps\", "

static bool gone(pid_t pid)
{
	int i;

	for (i = 0; i < 200 && !kill(pid, 0); i++)
		usleep(10000);
	return i < 200;
}

static void a_program_prints_credentials(void **state)
{
	char date[32], script[256];
	time_t t = time(NULL) + 3600;
	struct tm tm;

	with_broker("%s 'a b' \"c\\\"d\" e\\ f", program("print", "#!/bin/sh\n[ $# -eq 3 ] && [ \"$1\" = 'a b' ] && "
		    "[ \"$2\" = 'c\"d' ] && [ \"$3\" = 'e f' ] && [ ! -e /proc/self/fd/4 ] && "
		    "echo '" PRINTS "\"SessionToken\": \"pt\"}'\n"));
	got("AKIAPROCESS", "credential_process of profile \"default\"");
	assert_string_equal(creds.secret, "ps");
	assert_string_equal(creds.session_token, "pt");
	assert_int_equal(creds.expires, 0);
	/* again, by the same broker */
	got("AKIAPROCESS", "credential_process of profile \"default\"");
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
	snprintf(script, sizeof(script), "#!/bin/sh\necho '" PRINTS "\"Expiration\": \"%s\"}'\n", date);
	with_broker("%s", program("print", script));
	got("AKIAPROCESS", "credential_process");
	assert_int_equal(creds.expires, t);
	assert_null(creds.session_token);
}

static void what_a_program_does_wrong_is_told(void **state)
{
	static const struct { const char *script; enum kh_error error; const char *text; } rows[] = {
		{ "exit 3", KH_CREDENTIALS, "exit code 3" },
		{ "kill -9 $$", KH_CREDENTIALS, "killed by signal 9" },
		{ "echo no JSON", KH_CREDENTIALS, "does not print" },
		{ "echo '{\"Version\": 2}'", KH_CREDENTIALS, "does not print" },
		{ "echo '" PRINTS "\"Expiration\": \"tomorrow\"}'", KH_GARBAGE, "no date" },
		{ "echo '{\"Version\": 1, \"AccessKeyId\": \"x\"}'", KH_GARBAGE, "SecretAccessKey is missing" },
		{ "echo '" PRINTS "\"SessionToken\": \"a\\u0000b\", \"X\": 1} {'", KH_CREDENTIALS, "does not print" },
		{ "head -c 100000 /dev/zero | tr '\\0' ' '", KH_CREDENTIALS, "longer than" },
		{ "exec >&-; sleep 0.2; exit 4", KH_CREDENTIALS, "exit code 4" },
	};
	char script[256];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(script, sizeof(script), "#!/bin/sh\n%s\n", rows[i].script);
		with_broker("%s", program("wrong", script));
		not(rows[i].error, rows[i].text);
		if (strcmp(rows[i].text, "longer than"))
			not(rows[i].error, rows[i].text);
	}
	with_broker("true");
	not(KH_CREDENTIALS, "no absolute path");
	/* an order is an order, also one that came to nothing */
	config("[default]\ncredential_process = /bin/echo\n");
	not(KH_CREDENTIALS, "no absolute path");
	with_broker("%s x", in_dir("nothing"));
	not(KH_CREDENTIALS, "No such file");
	with_broker("%s", dir);
	not(KH_CREDENTIALS, "is no program");
	with_broker("%s 'a", in_dir("wrong"));
	not(KH_CREDENTIALS, "a quote has no end");
	with_broker("%s", program("wrong", "#!/bin/sh\n"));
	assert_int_equal(chmod(in_dir("wrong"), 0777), 0);
	not(KH_CREDENTIALS, "may be written by others");
}

static void a_program_that_does_not_end_is_killed(void **state)
{
	char text[32] = "", script[256];
	int64_t begin;
	int fd;

	snprintf(script, sizeof(script), "#!/bin/sh\necho $$ >%s\nsleep 60 &\nwait\n", in_dir("pid"));
	with_broker("%s", program("slow", script));
	kh.deadline = kc_wire_now() + 1000;
	begin = kc_wire_now();
	not(KH_TIMEOUT, "in time");
	assert_in_range(kc_wire_now() - begin, 900, 1900);
	fd = open(in_dir("pid"), O_RDONLY | O_CLOEXEC);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	assert_true(gone(atoi(text)));
	assert_true(gone(-atoi(text)));
}

/* The one child of this process beside the server. */
static pid_t broker_pid(void)
{
	char path[64], line[256];
	pid_t found = 0, pid;
	FILE *f, *s;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	f = fopen(path, "re");
	assert_non_null(f);
	while (fscanf(f, "%d", &pid) == 1) {
		snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		s = fopen(path, "re");
		if (s && fgets(line, sizeof(line), s) && !strcmp(line, "kcache-broker\n"))
			found = pid;
		if (s)
			fclose(s);
	}
	fclose(f);
	return found;
}

static bool reaped(pid_t pid)
{
	int i, status;

	for (i = 0; i < 300; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return true;
		usleep(10000);
	}
	return false;
}

static void the_broker_is_dismissed_before_a_network_is_heard(void **state)
{
	pid_t pid;

	/* environment */
	with_broker("/bin/true");
	usleep(50000);
	pid = broker_pid();
	assert_true(pid > 0);
	setenv("AWS_ACCESS_KEY_ID", KEY_ID, 1);
	setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
	got(KEY_ID, "environment");
	assert_true(reaped(pid));
	/* and then none is run any more */
	unsetenv("AWS_ACCESS_KEY_ID");
	unsetenv("AWS_SECRET_ACCESS_KEY");
	not(KH_CREDENTIALS, "since this command began");
	/* a network that never answers */
	with_broker("/bin/true");
	usleep(50000);
	pid = broker_pid();
	unlink(in_dir("config"));
	imds_here();
	control("{\"fail\": {\"path\": \"/latest/api/token\", \"delay\": 1}}");
	got("ASIA", "instance");
	assert_true(reaped(pid));
}

static void the_broker_knows_one_command_only(void **state)
{
	pid_t pid;

	with_broker("%s", program("first", "#!/bin/sh\necho '" PRINTS "\"SessionToken\": \"first\"}'\n"));
	got("AKIAPROCESS", "credential_process");
	assert_string_equal(creds.session_token, "first");
	config("[default]\ncredential_process = %s\n",
	       program("second", "#!/bin/sh\necho '" PRINTS "\"SessionToken\": \"second\"}'\n"));
	got("AKIAPROCESS", "credential_process");
	assert_string_equal(creds.session_token, "first");
	pid = broker_pid();
	assert_true(pid > 0);
	aws_creds_close();
	assert_true(reaped(pid));
}

/* --- a container -------------------------------------------------------------- */

static void a_container_has_credentials(void **state)
{
	static const char *const elsewhere[] = {
		"http://example.com/", "http://169.254.170.99/", "http://169.254.170.2.example.com/", "ftp://127.0.0.1/",
		"http://user@127.0.0.1/", "http://169.254.170.2@example.com/", "file:///etc/passwd", "127.0.0.1",
		"http://169.254.170.23x/", "http://127.0.0.1.example.com/",
	};
	size_t i;

	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url("/container/closed"), 1);
	not(KH_CREDENTIALS, "status 401 NotAuthorized no token");
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "the-container-token", 1);
	got("ASIA", "container");
	assert_in_range(creds.expires, time(NULL) + 3500, time(NULL) + 3700);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", in_dir("none"), 1);
	not(KH_CREDENTIALS, "there is no");
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", write_file("auth", "a\nHost: b"), 1);
	not(KH_CREDENTIALS, "not one line");
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "wrong", 1);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", write_file("auth", "the-container-token\n"), 1);
	got("ASIA", "container");
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url("/container/none"), 1);
	not(KH_CREDENTIALS, "status 404 NoIdInRequest");
	control("{\"fail\": {\"path\": \"/container\", \"status\": 500}}");
	not(KH_UNREACHABLE, "status 500");
	control("{\"fail\": {\"path\": \"/container\", \"status\": 200, \"body\": \"{}\"}}");
	not(KH_GARBAGE, "AccessKeyId is missing");
	control("{\"fail\": {\"path\": \"/container\", \"status\": 302, \"headers\": {\"Location\": \"/container/closed\"}}}");
	not(KH_CREDENTIALS, "status 302");
	for (i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
		setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", elsewhere[i], 1);
		not(KH_CREDENTIALS, "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither");
	}
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@example.com/", 1);
	not(KH_CREDENTIALS, "RELATIVE_URI is not /PATH");
}

/* --- an instance -------------------------------------------------------------- */

static void the_instance_is_asked_by_version_2(void **state)
{
	imds_here();
	got("ASIA", "the instance's role the-role");
	assert_true(served("\"sessions\": 1"));
	got("ASIA", "instance");
	assert_true(served("\"sessions\": 1"));
	/* a session that the service has forgotten, and one that has ended */
	control("{\"end_sessions\": true, \"session_ttl\": 1}");
	got("ASIA", "instance");
	assert_true(served("\"sessions\": 1"));
	usleep(1100000);
	got("ASIA", "instance");
	assert_true(served("\"sessions\": 2"));
}

static void version_1_is_never_used(void **state)
{
	static const int statuses[] = { 400, 403, 404, 405 };
	char rule[128];
	size_t i;

	imds_here();
	for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		aws_creds_close();
		snprintf(rule, sizeof(rule), "{\"reset\": true, \"fail\": {\"path\": \"/latest/api/token\", \"status\": %d}}",
			 statuses[i]);
		control(rule);
		not(KH_CREDENTIALS, "a session token");
		assert_false(served("\"GET\""));
	}
	control("{\"fail\": {\"path\": \"/latest/api/token\", \"status\": 200, \"body\": \"two words\"}}");
	not(KH_GARBAGE, "a session token that is none");
	assert_false(served("\"GET\""));
}

static void an_instance_without_a_role_says_so(void **state)
{
	imds_here();
	control("{\"fail\": {\"path\": \"/latest/meta-data\", \"status\": 404}}");
	not(KH_CREDENTIALS, "does not give a role: status 404");
	assert_non_null(strstr(kh.next, "instance profile"));
	control("{\"fail\": {\"path\": \"/latest/meta-data\", \"status\": 200, \"body\": \"../../x\"}}");
	not(KH_GARBAGE, "a role's name that is none");
	control("{\"fail\": {\"path\": \"/latest/meta-data/iam/security-credentials/the\", \"status\": 200, "
		"\"body\": \"{\\\"Code\\\": \\\"AssumeRoleUnauthorizedAccess\\\"}\"}}");
	not(KH_CREDENTIALS, "AssumeRoleUnauthorizedAccess");
	control("{\"fail\": {\"path\": \"/latest/meta-data\", \"status\": 401}}");
	not(KH_UNREACHABLE, "status 401");
}

static void moments_without_an_answer_pass(void **state)
{
	imds_here();
	control("{\"fail\": [{\"path\": \"/latest/api\", \"status\": 503, \"count\": 1}, "
		"{\"path\": \"/latest/meta\", \"status\": 500, \"count\": 1}]}");
	got("ASIA", "instance");
	control("{\"fail\": {\"path\": \"/latest/meta\", \"status\": 500}}");
	not(KH_UNREACHABLE, "status 500");
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9", 1);
	aws_creds_close();
	not(KH_UNREACHABLE, "127.0.0.1:9");
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://example.com", 1);
	not(KH_CREDENTIALS, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254@example.com", 1);
	not(KH_CREDENTIALS, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
}

static bool on_ec2(void)
{
	char text[16] = "";
	FILE *f = fopen("/sys/devices/virtual/dmi/id/sys_vendor", "re");

	if (f) {
		if (!fgets(text, sizeof(text), f))
			text[0] = '\0';
		fclose(f);
	}
	return !strncmp(text, "Amazon EC2", 10);
}

static void a_machine_of_nobody_gives_up_at_once(void **state)
{
	int64_t begin = kc_wire_now();
	int status;
	pid_t pid;

	unsetenv("AWS_EC2_METADATA_DISABLED");
	pid = fork();
	if (!pid) {
		/* a network without anybody in it, so that nothing is asked anywhere */
		if (unshare(CLONE_NEWNET))
			_exit(77);
		if (!aws_creds_get(&kh, false, &creds))
			_exit(1);
		/* of EC2 it waits for its service to come up */
		_exit(kh.error == KH_CREDENTIALS && strstr(kh.text, "none of EC2") ? 0 : kh.error == KH_UNREACHABLE ? 6 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), on_ec2() ? 6 : 0);
	assert_in_range(kc_wire_now() - begin, 0, 3000);
}

/* --- their end ---------------------------------------------------------------- */

static void credentials_are_kept_until_they_end(void **state)
{
	char id[128];

	imds_here();
	get_as(false, "ASIA", "instance");
	snprintf(id, sizeof(id), "%s", creds.access_key);
	get_as(false, id, "instance");
	/* refused ones are fetched anew */
	control("{\"lifetime\": 200}");
	got("ASIA", "instance");
	assert_string_not_equal(creds.access_key, id);
	snprintf(id, sizeof(id), "%s", creds.access_key);
	/* within five minutes of their end: anew, or the old ones */
	control("{\"fail\": {\"path\": \"/latest\", \"status\": 500}}");
	get_as(false, id, "the instance's role the-role");
	assert_int_equal(kh.error, KH_OK);
	/* not with every request */
	control("{\"fail\": [], \"lifetime\": 3600}");
	get_as(false, id, "instance");
	control("{\"lifetime\": 2}");
	got("ASIA", "instance");
	snprintf(id, sizeof(id), "%s", creds.access_key);
	control("{\"lifetime\": 3600}");
	get_as(false, "ASIA", "instance");
	assert_string_not_equal(creds.access_key, id);
	/* after their end there are none */
	control("{\"lifetime\": 1}");
	got("ASIA", "instance");
	usleep(1100000);
	control("{\"fail\": {\"path\": \"/latest\", \"status\": 500}}");
	kh_forget(&kh);
	assert_int_equal(aws_creds_get(&kh, false, &creds), -1);
	assert_int_equal(kh.error, KH_UNREACHABLE);
}

static void dates_are_read(void **state)
{
	static const struct { const char *s; int64_t t; } rows[] = {
		{ "1970-01-02T00:00:00Z", 86400 }, { "2026-11-25T00:00:00.123Z", 1795564800 },
		{ "2026-11-25T02:00:00+02:00", 1795564800 }, { "2026-11-24T19:30:00-0430", 1795564800 },
		{ "2026-11-25T00:00:00", 0 }, { "2026-11-25", 0 }, { "", 0 }, { "2026-11-25T00:00:00Zx", 0 },
		{ "2026-11-25T00:00:00+2", 0 }, { "2026-13-25T00:00:00Z", 0 }, { "2026-11-25T00:00:00+99:00", 0 },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (aws_iso_time(rows[i].s) != rows[i].t)
			fail_msg("\"%s\" is %lld", rows[i].s, (long long)aws_iso_time(rows[i].s));
}

#define T(f) cmocka_unit_test_setup_teardown(f, fresh_host, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_first_source_that_is_configured_counts),
		T(a_source_that_is_configured_and_fails_is_the_answer),
		T(half_of_the_environment_is_refused),
		T(a_web_identity_becomes_a_role),
		T(sts_that_is_not_well_is_asked_again_later),
		T(a_profile_has_keys),
		T(a_profile_has_a_role),
		T(a_wrong_secret_is_sts_to_refuse),
		T(files_that_are_not_understood_are_refused),
		T(files_that_others_may_write_are_refused),
		T(the_configured_file_is_read_where_nobody_has_a_home),
		T(a_program_prints_credentials),
		T(what_a_program_does_wrong_is_told),
		T(a_program_that_does_not_end_is_killed),
		T(the_broker_is_dismissed_before_a_network_is_heard),
		T(the_broker_knows_one_command_only),
		T(a_container_has_credentials),
		T(the_instance_is_asked_by_version_2),
		T(version_1_is_never_used),
		T(an_instance_without_a_role_says_so),
		T(moments_without_an_answer_pass),
		T(a_machine_of_nobody_gives_up_at_once),
		T(credentials_are_kept_until_they_end),
		T(dates_are_read),
	};

	return cmocka_run_group_tests(tests, up, down);
}
