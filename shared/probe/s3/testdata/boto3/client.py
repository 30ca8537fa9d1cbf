"""Does with boto3 what each line of its input asks for, and answers each with a line: true or false.

A line is a JSON object: endpoint, verify (a file of certificates), key, secret, do ("list", "create" or "user") and its
arguments. "user" makes a user who may do everything, and answers with an access key.
"""

import json
import sys

import boto3
import botocore.config

CONFIG = botocore.config.Config(
    connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}
)
clients = {}


def client(service, asked):
    made = (service, asked["endpoint"], asked["verify"], asked["key"], asked["secret"])
    if made not in clients:
        clients[made] = boto3.client(
            service, region_name="us-east-1", endpoint_url=made[1], verify=made[2] or None,
            aws_access_key_id=made[3], aws_secret_access_key=made[4], config=CONFIG,
        )
    return clients[made]


def do(asked):
    if asked["do"] == "user":
        iam = client("iam", asked)
        iam.create_user(UserName="compared")
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        iam.put_user_policy(UserName="compared", PolicyName="all", PolicyDocument=json.dumps(policy))
        made = iam.create_access_key(UserName="compared")["AccessKey"]
        return [made["AccessKeyId"], made["SecretAccessKey"]]
    s3 = client("s3", asked)
    if asked["do"] == "create":
        s3.create_bucket(Bucket=asked["bucket"])
    elif asked["bucket"]:
        s3.list_objects_v2(Bucket=asked["bucket"], Prefix=asked["prefix"], MaxKeys=1)
    else:
        s3.list_buckets()
    return True


for line in sys.stdin:
    try:
        answer = do(json.loads(line))
    except Exception:  # whatever it is, boto3 did not do it
        answer = False
    print(json.dumps(answer), flush=True)
